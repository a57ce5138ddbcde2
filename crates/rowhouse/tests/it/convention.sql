-- Constraints of the platform that are not named by the rule, tables and columns without a comment, and
-- functions whose search_path lets others choose what they run.
with platform as (
  select c.oid, n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v') and pg_get_userbyid(c.relowner) = 'rowhouse_owner'
), expected as (
  select p.schema || '.' || p.name as relation, k.conname as found,
    case k.contype
      when 'p' then p.name || '_pkey'
      when 'c' then p.name || '_' || coalesce(nullif(cols.names, ''), 'row') || '_check'
      else p.name || '_' || cols.names || case k.contype when 'u' then '_key' when 'f' then '_fkey' end
    end as wanted
  from platform p join pg_constraint k on k.conrelid = p.oid and k.contype in ('p', 'c', 'u', 'f'),
  lateral (
    select coalesce(string_agg(a.attname, '_' order by u.at), '') as names
    from unnest(k.conkey) with ordinality u (attnum, at) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
  ) cols
)
select relation || ': constraint ' || found || ' should be ' || wanted as finding from expected where found <> wanted
union all
select schema || '.' || name || ' has no comment' from platform where obj_description(oid, 'pg_class') is null
union all
select p.schema || '.' || p.name || '.' || a.attname || ' has no comment' from platform p join pg_attribute a on a.attrelid = p.oid
where a.attnum > 0 and not a.attisdropped and col_description(p.oid, a.attnum) is null
union all
-- A function with its owner's rights must find neither operators of a project nor types of the caller's pg_temp: by its
-- path, or by qualified operators alone (RAISE's options aside).
select f.oid::regprocedure || ' is security definer without search_path = pg_catalog, pg_temp'
from pg_proc f
where f.prosecdef and pg_get_userbyid(f.proowner) = 'rowhouse_owner'
  and 'search_path=pg_catalog, pg_temp' <> all (coalesce(f.proconfig, '{}'))
  and (f.proname <> 'require_live_session'
    or regexp_replace(f.prosrc, '(using|,) \w+ =', '', 'g') ~ '\s(=|<>|<|>|<=|>=|\|\||->|->>)\s|nullif|case (?!when)\w|\yin\s*\(')
order by 1
