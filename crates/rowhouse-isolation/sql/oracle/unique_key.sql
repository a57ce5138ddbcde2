select r.name as relation, i.indexrelid::regclass::text as object,
  format('whether a value exists in another tenant shows by the conflict; begin the key with %I', r.tenant_column) as detail,
  case when k.oid is not null and not exists (select from pg_constraint f where f.conindid = i.indexrelid and f.contype = 'f')
    then format('alter table %1$s drop constraint %2$I, add constraint %2$I %3$s;', r.name, k.conname,
      regexp_replace(pg_get_constraintdef(k.oid), '\(', replace(format('(%I, ', r.tenant_column), '\', '\\'))) end as fix
from relations r join pg_index i on i.indrelid = r.oid and i.indisunique
left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u')
where r.is_secured and not r.is_partition and r.tenant_number <> all ((i.indkey::int2[])[0:i.indnkeyatts - 1])
  and exists (select from reach h where h.relation = r.oid and h.verbs && array['insert', 'update'])
  -- nobody guesses these
  and not exists (
    select from unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) as key
    join pg_attribute a on a.attrelid = r.oid and a.attnum = key
    left join pg_attrdef d on d.adrelid = r.oid and d.adnum = key
    where a.atttypid = 'uuid'::regtype or a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) like 'nextval(%')
