-- Catalog data about the relations of a statement, as one JSON array.
-- $1 role; $2, $3 schemas and names that the request names; $4, $5 schemas and names in the plan.
-- A view reads with its owner's rights unless it is `security_invoker`, so each relation comes with the role under
-- which it is read. For partitions the policies of the table that the request names apply.
with recursive named as (
  select c.oid, $1::text collate "C" as role
  from unnest($2::text[], $3::text[]) as n (schema, name)
  join pg_catalog.pg_namespace s on s.nspname = n.schema
  join pg_catalog.pg_class c on c.relnamespace = s.oid and c.relname = n.name
), reached (oid, role) as (
  select oid, role from named
  union
  select d.refobjid, case
      when coalesce('security_invoker=true' = any (v.reloptions) or 'security_invoker=on' = any (v.reloptions), false) then r.role
      else pg_catalog.pg_get_userbyid(v.relowner)::text collate "C" end
  from reached r
  join pg_catalog.pg_class v on v.oid = r.oid and v.relkind = 'v'
  join pg_catalog.pg_rewrite w on w.ev_class = v.oid and w.rulename = '_RETURN'
  join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
    and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> v.oid and d.deptype = 'n'
), planned as (
  select c.oid, $1::text collate "C" as role
  from unnest($4::text[], $5::text[]) as n (schema, name)
  join pg_catalog.pg_namespace s on s.nspname = n.schema
  join pg_catalog.pg_class c on c.relnamespace = s.oid and c.relname = n.name
  where not exists (select from reached r where r.oid = c.oid)
), involved as (
  select distinct oid, role, true as governed from reached
  union all
  select distinct p.oid, p.role,
    not exists (select from pg_catalog.pg_partition_ancestors(p.oid) a (relation) join reached r on r.oid = a.relation)
  from planned p
)
select coalesce(json_agg(json_build_object(
  'schema', s.nspname,
  'name', c.relname,
  'quoted', pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(c.relname),
  'role', i.role,
  'rows', case when c.reltuples >= 0 then c.reltuples else pg_catalog.pg_relation_size(c.oid) / 100 end,
  'row_security', c.relrowsecurity and i.governed,
  'bypassed', exists (select from pg_catalog.pg_roles r where r.rolname = i.role and (r.rolsuper or r.rolbypassrls))
    or (not c.relforcerowsecurity and pg_catalog.pg_has_role(i.role::name, c.relowner, 'usage')),
  'columns', (
    select coalesce(json_agg(json_build_object(
      'name', a.attname,
      'quoted', pg_catalog.quote_ident(a.attname),
      'type', pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), t.oid), null),
      'leakproof', exists (
        select from pg_catalog.pg_operator o join pg_catalog.pg_proc f on f.oid = o.oprcode
        where o.oprname = '=' and o.oprleft = o.oprright and f.proleakproof and o.oprleft =
          case coalesce(nullif(t.typbasetype, 0), t.oid) when 'varchar'::regtype then 'text'::regtype else coalesce(nullif(t.typbasetype, 0), t.oid) end)
      ) order by a.attnum), '[]')
    from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  'indexes', (
    select coalesce(json_agg(json_build_object(
      'name', x.relname,
      'method', m.amname,
      'partial', n.indpred is not null,
      'columns', (
        select coalesce(json_agg(coalesce(a.attname::text, '') order by k.place), '[]')
        from unnest(n.indkey::int2[]) with ordinality as k (number, place)
        left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.number and k.number > 0
        where k.place <= n.indnkeyatts)
      ) order by x.relname), '[]')
    from pg_catalog.pg_index n
    join pg_catalog.pg_class x on x.oid = n.indexrelid
    join pg_catalog.pg_am m on m.oid = x.relam
    where n.indrelid = c.oid and n.indisvalid),
  'policies', (
    select coalesce(json_agg(json_build_object(
      'name', p.polname,
      'quoted', pg_catalog.quote_ident(p.polname),
      'command', case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
      'permissive', p.polpermissive,
      'roles', case when p.polroles = '{0}' then '["public"]'::json
        else (select json_agg(pg_catalog.pg_get_userbyid(r.role)) from unnest(p.polroles) as r (role)) end,
      'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
      'check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
      ) order by p.polpermissive desc, p.polname), '[]')
    from pg_catalog.pg_policy p
    where p.polrelid = c.oid and c.relrowsecurity and i.governed
      and (p.polroles = '{0}' or exists (
        select from unnest(p.polroles) as r (role) where pg_catalog.pg_has_role(i.role::name, r.role, 'usage'))))
  ) order by s.nspname, c.relname, i.role), '[]')::text
from involved i
join pg_catalog.pg_class c on c.oid = i.oid
join pg_catalog.pg_namespace s on s.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f', 'm')
