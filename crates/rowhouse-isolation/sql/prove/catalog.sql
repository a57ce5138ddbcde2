-- What a proof has to know of each relation of the served schemas: a JSON object per relation. $1: schemas, roles of callers.
with input as (
  select $1::jsonb as data
),
role as (
  select r.oid, r.rolname as name, r.rolsuper or r.rolbypassrls as is_elevated
  from pg_roles r cross join input where data -> 'roles' ? r.rolname::text
),
relation as (
  select c.*, n.nspname, format('%I.%I', n.nspname, c.relname) as name
  from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join input
  where data -> 'schemas' ? n.nspname::text and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
),
columns as (
  select r.oid, jsonb_agg(jsonb_build_object(
    'name', quote_ident(a.attname), 'bare_name', a.attname,
    'type', format_type(coalesce(b.oid, t.oid), case when b.oid is null then a.atttypmod else t.typtypmod end),
    'base', coalesce(b.typname, t.typname), 'kind', coalesce(b.typtype, t.typtype), 'category', coalesce(b.typcategory, t.typcategory),
    'is_required', (a.attnotnull or t.typnotnull) and d.oid is null and a.attidentity = '',
    'is_nullable', not (a.attnotnull or t.typnotnull),
    'has_default', d.oid is not null or a.attidentity <> '',
    'is_identity', a.attidentity <> '', 'is_fixed', a.attgenerated <> '' or a.attidentity = 'a',
    'labels', (select jsonb_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = coalesce(b.oid, t.oid)),
    'element_labels', (select jsonb_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = coalesce(b.typelem, t.typelem)),
    'checks', (select jsonb_agg(pg_get_constraintdef(k.oid)) from pg_constraint k where k.contypid = t.oid)
  ) order by a.attnum) as list
  from relation r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  join pg_type t on t.oid = a.atttypid left join pg_type b on t.typtype = 'd' and b.oid = t.typbasetype
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  group by r.oid
),
-- looked up by key for each column of a key or reference, so not computed for all tables of the database
named as not materialized (
  select attrelid, attnum, quote_ident(attname) as name from pg_attribute where attnum > 0 and not attisdropped
),
keys as (
  select i.indrelid as oid, jsonb_agg(jsonb_build_object('name', x.relname, 'columns', (
    select jsonb_agg(n.name order by k.place) from unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality as k (attnum, place)
    join named n on n.attrelid = i.indrelid and n.attnum = k.attnum)) order by i.indisprimary desc, x.relname) as list
  from pg_index i join pg_class x on x.oid = i.indexrelid
  where i.indrelid in (select oid from relation) and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
  group by i.indrelid
),
foreign_keys as (
  select c.conrelid as oid, jsonb_agg(jsonb_build_object(
    'name', c.conname, 'parent', c.confrelid::regclass::text, 'is_blocking', c.confdeltype in ('a', 'r'),
    'columns', (select jsonb_agg(n.name order by k.place) from unnest(c.conkey) with ordinality as k (attnum, place)
      join named n on n.attrelid = c.conrelid and n.attnum = k.attnum),
    'parent_columns', (select jsonb_agg(n.name order by k.place) from unnest(c.confkey) with ordinality as k (attnum, place)
      join named n on n.attrelid = c.confrelid and n.attnum = k.attnum)) order by c.conname) as list
  from pg_constraint c where c.conrelid in (select oid from relation) and c.contype = 'f' and c.conparentid = 0
  group by c.conrelid
),
checks as (
  select c.conrelid as oid, jsonb_agg(jsonb_build_object('name', c.conname, 'text', pg_get_constraintdef(c.oid),
    'columns', (select jsonb_agg(n.name) from named n where n.attrelid = c.conrelid and n.attnum = any (c.conkey)))) as list
  from pg_constraint c where c.conrelid in (select oid from relation) and c.contype = 'c'
  group by c.conrelid
),
bounds as (
  select p.partrelid as oid, jsonb_build_object('name', '', 'text', coalesce((
      select string_agg(pg_get_expr(c.relpartbound, c.oid), ' ') from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = p.partrelid), ''),
    'columns', (select jsonb_agg(n.name) from named n where n.attrelid = p.partrelid and n.attnum = any (p.partattrs::int2[]))) as bound
  from pg_partitioned_table p where p.partrelid in (select oid from relation)
),
-- what a role may do by its grants, and by policies
rights as (
  select r.oid, jsonb_object_agg(o.name, jsonb_build_object(
    'verbs', (select coalesce(jsonb_agg(verb), '[]') from unnest(array['select', 'insert', 'update', 'delete', 'truncate']) as verb
      where has_schema_privilege(o.oid, r.relnamespace, 'usage') and case when verb in ('select', 'insert', 'update')
        then has_any_column_privilege(o.oid, r.oid, verb) else has_table_privilege(o.oid, r.oid, verb) end),
    'permitted', (select coalesce(jsonb_agg(verb), '[]')
      from (values ('select', 'r'), ('insert', 'a'), ('update', 'w'), ('delete', 'd')) as v (verb, command)
      where not r.relrowsecurity or o.is_elevated or pg_has_role(o.oid, r.relowner, 'usage') or exists (
        select from pg_policy p where p.polrelid = r.oid and p.polpermissive and p.polcmd::text in ('*', v.command)
          and exists (select from unnest(p.polroles) as q where case when q = 0 then true else pg_has_role(o.oid, q, 'usage') end))),
    'select', (select coalesce(jsonb_agg(n.name order by n.attnum), '[]') from named n where n.attrelid = r.oid and has_column_privilege(o.oid, r.oid, n.attnum, 'select')),
    'insert', (select coalesce(jsonb_agg(n.name order by n.attnum), '[]') from named n where n.attrelid = r.oid and has_column_privilege(o.oid, r.oid, n.attnum, 'insert')),
    'update', (select coalesce(jsonb_agg(n.name order by n.attnum), '[]') from named n where n.attrelid = r.oid and has_column_privilege(o.oid, r.oid, n.attnum, 'update'))
  )) as list
  from relation r cross join role o
  group by r.oid
),
policies as (
  select p.polrelid as oid, jsonb_agg(jsonb_build_object(
    'name', quote_ident(p.polname), 'command', p.polcmd, 'is_permissive', p.polpermissive,
    'is_for_callers', exists (select from unnest(p.polroles) as q join role o on q = 0 or q = o.oid),
    'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)) order by p.polname) as list
  from pg_policy p where p.polrelid in (select oid from relation)
  group by p.polrelid
)
select jsonb_build_object(
  'name', r.name, 'schema', r.nspname, 'bare_name', r.relname, 'kind', r.relkind, 'is_secured', r.relrowsecurity,
  'missing_grant', case when not has_schema_privilege(session_user, r.relnamespace, 'usage') or not has_table_privilege(session_user, r.oid, 'select')
    then format('as %1$s: grant usage on schema %2$I to %3$I; grant select, insert, update, delete on %4$s to %3$I',
      pg_get_userbyid(r.relowner), r.nspname, session_user, r.name) end,
  'is_protected', exists (select from pg_policy p where p.polrelid = r.oid and p.polname = 'tenant_select'),
  'is_shared', exists (select from pg_policy p where p.polrelid = r.oid and p.polname = 'shared_select'),
  'has_reference_checks', exists (select from pg_trigger g where g.tgrelid = r.oid and g.tgname like 'tenant\_reference\_%'),
  'parents', coalesce((select jsonb_agg(format('%I.%I', n.nspname, p.relname)) from pg_inherits i join pg_class p on p.oid = i.inhparent
    join pg_namespace n on n.oid = p.relnamespace where i.inhrelid = r.oid), '[]'),
  'columns', coalesce(columns.list, '[]'), 'keys', coalesce(keys.list, '[]'), 'references', coalesce(foreign_keys.list, '[]'),
  'checks', coalesce(checks.list, '[]') || case when bounds.bound is null then '[]' else jsonb_build_array(bounds.bound) end,
  'rights', coalesce(rights.list, '{}'), 'policies', coalesce(policies.list, '[]'))
from relation r left join columns using (oid) left join keys using (oid) left join foreign_keys using (oid)
left join checks using (oid) left join bounds using (oid) left join rights using (oid) left join policies using (oid)
order by r.name
