select r.name as relation, m.name::text as object,
  format('does not compare %I: %s may %s rows of other tenants that fit', r.tenant_column,
    string_agg(distinct m.caller::text, ' and '), string_agg(distinct m.verb, ', ')) as detail,
  null::text as fix
from relations r join open_permits m on m.relation = r.oid
where r.tenant_number is not null and m.constant is null and m.row_lenient and not m.tenant_lenient
group by r.oid, r.name, m.name, r.tenant_column
