-- What `migrate adopt` gives to rowhouse_project in the schemas $1: each object, its owner, and the statements that do it.
-- Parts of extensions stay as they are, and objects of a table follow it: sequences of columns, row types, arrays.
with found as (
  select 1 as place, c.relowner as owner, 'pg_class'::regclass as class, c.oid,
    case c.relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialized view'
      when 'f' then 'foreign table' else 'table' end as kind,
    format('%I.%I', n.nspname, c.relname) as name,
    case c.relkind when 'S' then 'sequence' else 'table' end as granted
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any($1) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and not (c.relkind = 'S' and exists (select from pg_depend d
      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')))
  union all
  select 2, p.proowner, 'pg_proc'::regclass, p.oid, 'routine',
    format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), 'routine'
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname = any($1)
  union all
  select 3, t.typowner, 'pg_type'::regclass, t.oid, case t.typtype when 'd' then 'domain' else 'type' end,
    format('%I.%I', n.nspname, t.typname), 'type'
  from pg_type t join pg_namespace n on n.oid = t.typnamespace
  where n.nspname = any($1) and (t.typtype in ('d', 'e', 'r')
    or t.typtype = 'c' and (select relkind from pg_class where oid = t.typrelid) = 'c')
)
select kind || ' ' || name as object, owner::regrole::text as former_owner,
  format('alter %s %s owner to rowhouse_project; ', kind, name)
  || format('grant all on %s %s to %s; ', granted, name, owner::regrole)
  || case granted when 'type' then '' else format('grant all on %s %s to service_role; ', granted, name) end as statements
from found
where owner <> (select oid from pg_roles where rolname = 'rowhouse_project')
  and not exists (select from pg_depend d where d.classid = found.class and d.objid = found.oid and d.deptype = 'e')
order by place, name
