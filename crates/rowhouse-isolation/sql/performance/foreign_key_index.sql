select r.name as relation, k.conname::text as object, format('no index begins with %s', columns.names) as detail,
  format('create index on %s (%s);', r.name, columns.names) as fix
from relations r join pg_constraint k on k.conrelid = r.oid and k.contype = 'f' and k.conparentid = 0
join relations p on p.oid = k.confrelid and p.is_secured and p.tenant_number is not null
cross join lateral (
  select string_agg(quote_ident(a.attname), ', ' order by w.place) as names
  from unnest(k.conkey) with ordinality as w (number, place) join pg_attribute a on a.attrelid = r.oid and a.attnum = w.number
) columns
where not r.is_partition and not exists (
  select from pg_index i
  where i.indrelid = r.oid and i.indisvalid and i.indpred is null
    -- in whatever order, and a tenant in front does no harm
    and k.conkey <@ (i.indkey::int2[])[0:cardinality(k.conkey) - case when i.indkey[0] = r.tenant_number then 0 else 1 end])
