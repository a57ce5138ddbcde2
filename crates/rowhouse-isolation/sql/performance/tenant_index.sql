select r.name as relation, null::text as object, format('no index begins with %I: each query reads the rows of all tenants', r.tenant_column) as detail,
  format('create index on %s (%I);', r.name, r.tenant_column) as fix
from relations r
where r.kind in ('r', 'p') and not r.is_partition and r.is_secured and r.tenant_number is not null
  and exists (select from permits m where m.relation = r.oid)
  and not exists (select from pg_index i
    where i.indrelid = r.oid and i.indkey[0] = r.tenant_number and i.indpred is null and i.indisvalid)
