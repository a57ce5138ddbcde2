, paths as (
  select d.*, (select substr(s, length('search_path=') + 1) from unnest(d.settings) as s where s like 'search\_path=%') as path
  from definers d
)
select p.name as relation, null::text as object,
  case when p.path is null then format('%s may call it, and it searches where the caller says', p.callers)
    else format('%s may call it, and may create what it finds in its path', p.callers) end as detail,
  format('alter routine %s set search_path = pg_catalog, %spg_temp;', p.name, (
    -- Its own schema, and that of the extensions, which the paths of migrations and requests end with.
    select string_agg(quote_ident(n.nspname) || ', ', '' order by n.oid <> p.namespace) from pg_namespace n
    where (n.oid = p.namespace or n.nspname = 'extensions')
      and not exists (select from callers c where has_schema_privilege(c.oid, n.oid, 'create')))) as fix
from paths p
where p.path is null or exists (
  select from regexp_split_to_table(p.path, '\s*,\s*') as part join pg_namespace n on quote_ident(n.nspname) = part or n.nspname = part
  join callers c on has_schema_privilege(c.oid, n.oid, 'create'))
