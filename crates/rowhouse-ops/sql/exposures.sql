-- Objects in the schemas $1 that callers of the data API can use without row-level security, one sentence each.
with callers as (
  select oid, rolname from pg_roles where rolname in ('anon', 'authenticated')
), relations as (
  select c.oid, c.relkind as kind, format('%I.%I', n.nspname, c.relname) as name, c.relrowsecurity as secured,
    coalesce('security_invoker=true' = any(c.reloptions) or 'security_invoker=on' = any(c.reloptions), false) as invoker,
    (select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = c.oid and not c.relispartition limit 1) as parent,
    (select string_agg(callers.rolname, ' and ' order by callers.rolname) from callers
      where has_schema_privilege(callers.oid, n.oid, 'usage')
        and has_table_privilege(callers.oid, c.oid, 'select, insert, update, delete')) as open_to
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any($1) and c.relkind in ('r', 'p', 'm', 'v', 'f')
    -- the platform's own decide by the caller
    and pg_get_userbyid(c.relowner) <> 'rowhouse_owner'
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
)
select case
    when kind = 'm' then format('materialized view %s: row-level security does not reach it; %s may read all its rows', name, open_to)
    when kind = 'f' then format('foreign table %s: row-level security does not reach it; %s may use all its rows', name, open_to)
    when kind = 'v' then format('view %s: it shows what its owner may see, rows of every tenant, to %s; run: alter view %s set (security_invoker = true)', name, open_to, name)
    when parent is not null then format('table %s inherits from %s, whose policies do not count when it is asked by its own name; it has no row-level security, and %s may use all its rows', name, parent, open_to)
    else format('table %s: no row-level security; %s may use all its rows; run: select tenancy.protect(%L)', name, open_to, name)
  end as sentence
from relations
where open_to is not null and case kind when 'm' then true when 'f' then true when 'v' then not invoker else not secured end
union all
select format('function %s: security definer, and anon may call it', p.oid::regprocedure)
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = any($1) and p.prosecdef and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
  and pg_get_userbyid(p.proowner) <> 'rowhouse_owner'
  and has_schema_privilege('anon', n.oid, 'usage') and has_function_privilege('anon', p.oid, 'execute')
  and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
order by 1
