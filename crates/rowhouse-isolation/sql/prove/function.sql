-- Functions of the served schemas that callers may call: a JSON object each. $1: schemas, roles of callers.
with input as (
  select $1::jsonb as data
)
select jsonb_build_object(
  'name', p.oid::regprocedure::text, 'call', format('%I.%I', n.nspname, p.proname),
  'schema', n.nspname, 'bare_name', p.proname, 'is_procedure', p.prokind = 'p',
  'is_definer', p.prosecdef, 'is_volatile', p.provolatile = 'v',
  'arguments', (select coalesce(jsonb_agg(format_type(t.oid, null) order by a.place), '[]')
    from unnest(p.proargtypes) with ordinality as a (oid, place) join pg_type t on t.oid = a.oid),
  'argument_names', (select coalesce(jsonb_agg(coalesce(a.name, '') order by a.place), '[]')
    from unnest(p.proargnames, p.proargmodes) with ordinality as a (name, mode, place) where coalesce(a.mode, 'i') in ('i', 'b', 'v')),
  'roles', (select coalesce(jsonb_agg(r.rolname), '[]') from pg_roles r
    where data -> 'roles' ? r.rolname::text and has_schema_privilege(r.oid, n.oid, 'usage') and has_function_privilege(r.oid, p.oid, 'execute')))
from pg_proc p join pg_namespace n on n.oid = p.pronamespace cross join input
where data -> 'schemas' ? n.nspname::text and p.prokind in ('f', 'p')
  and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
  and not exists (select from unnest(p.proargtypes) as a (oid) join pg_type t on t.oid = a.oid where t.typtype = 'p')
  and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
  and exists (select from pg_roles r where data -> 'roles' ? r.rolname::text
    and has_schema_privilege(r.oid, n.oid, 'usage') and has_function_privilege(r.oid, p.oid, 'execute'))
order by 1
