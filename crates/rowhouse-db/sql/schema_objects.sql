-- What the project's schemas consist of: kind and name, and the SHA-256 of the definition. Left out: the platform's schemas,
-- objects of extensions, and triggers that run a function of the platform, which it adds by itself. Names are qualified by an
-- empty search path.
with schema as (
  select n.oid, n.nspname, n.nspowner, n.nspacl from pg_namespace n
  where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'extensions')
    and n.nspowner <> coalesce(to_regrole('rowhouse_owner'), 0::oid)
),
foreign_object as (select classid, objid from pg_depend where deptype = 'e'),
relation as (
  select c.*, format('%I.%I', s.nspname, c.relname) as name from pg_class c join schema s on s.oid = c.relnamespace
  where c.oid not in (select objid from foreign_object where classid = 'pg_class'::regclass)
    -- A composite type belongs to its extension by the type, and not by its relation.
    and not (c.relkind = 'c' and c.reltype in (select objid from foreign_object where classid = 'pg_type'::regclass))
),
owned_table as (select * from relation where relkind in ('r', 'p', 'v', 'm', 'f')),
object (object, definition) as (
  select format('schema %I', nspname), concat_ws('|', nspowner::regrole, (select string_agg(a::text, ',' order by a::text) from unnest(nspacl) a))
  from schema
  union all
  select format('%s %s', case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
      when 'f' then 'foreign table' when 'c' then 'type' else 'table' end, r.name),
    concat_ws('|', relkind, relpersistence, relrowsecurity, relforcerowsecurity, reloptions::text, relowner::regrole,
      (select string_agg(a::text, ',' order by a::text) from unnest(relacl) a),
      case when relkind in ('v', 'm') then pg_get_viewdef(r.oid) end,
      pg_get_expr(relpartbound, r.oid), pg_get_partkeydef(r.oid),
      (select string_agg(i.inhparent::regclass::text, ',' order by i.inhseqno) from pg_inherits i where i.inhrelid = r.oid))
  from relation r where relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c')
  union all
  select format('column %s.%I', r.name, a.attname),
    concat_ws('|', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
      pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation,
      (select string_agg(x::text, ',' order by x::text) from unnest(a.attacl) x))
  from relation r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where r.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
  union all
  select format('constraint %I on %s', c.conname, r.name), concat_ws('|', pg_get_constraintdef(c.oid), c.convalidated)
  from pg_constraint c join owned_table r on r.oid = c.conrelid where c.contype <> 't'
  union all
  select format('index %s', i.name), concat_ws('|', pg_get_indexdef(i.oid), x.indisvalid)
  from relation i join pg_index x on x.indexrelid = i.oid
  where not exists (select from pg_constraint c where c.conindid = i.oid and c.contype in ('p', 'u', 'x'))
  union all
  select format('policy %I on %s', p.polname, r.name),
    concat_ws('|', p.polcmd, p.polpermissive, (select string_agg(o::regrole::text, ',' order by o) from unnest(p.polroles) o where o <> 0),
      pg_get_expr(p.polqual, p.polrelid), '/', pg_get_expr(p.polwithcheck, p.polrelid))
  from pg_policy p join owned_table r on r.oid = p.polrelid
  union all
  select format('trigger %I on %s', t.tgname, r.name), concat_ws('|', pg_get_triggerdef(t.oid), t.tgenabled)
  from pg_trigger t join owned_table r on r.oid = t.tgrelid join pg_proc f on f.oid = t.tgfoid
  where not t.tgisinternal and f.pronamespace in (select oid from schema)
  union all
  select format('rule %I on %s', w.rulename, r.name), pg_get_ruledef(w.oid)
  from pg_rewrite w join owned_table r on r.oid = w.ev_class where w.rulename <> '_RETURN'
  union all
  select format('function %I.%I(%s)', s.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
    concat_ws('|', case when f.prokind = 'a' then f.prosrc else pg_get_functiondef(f.oid) end, f.proowner::regrole,
      (select string_agg(a::text, ',' order by a::text) from unnest(f.proacl) a))
  from pg_proc f join schema s on s.oid = f.pronamespace
  where f.oid not in (select objid from foreign_object where classid = 'pg_proc'::regclass)
  union all
  select format('type %I.%I', s.nspname, t.typname),
    concat_ws('|', t.typtype, t.typowner::regrole, format_type(nullif(t.typbasetype, 0), t.typtypmod), t.typnotnull, t.typdefault,
      (select string_agg(e.enumlabel, ',' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
      (select string_agg(pg_get_constraintdef(c.oid), ',' order by c.conname) from pg_constraint c where c.contypid = t.oid))
  from pg_type t join schema s on s.oid = t.typnamespace
  where t.typtype in ('e', 'd', 'r') and t.oid not in (select objid from foreign_object where classid = 'pg_type'::regclass)
)
select object, encode(sha256(convert_to(definition, 'UTF8')), 'hex') as digest from object order by object collate "C"
