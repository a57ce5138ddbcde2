select r.name as relation, m.name::text as object,
  format('a part of an OR lets certain callers past %I: %s may %s', r.tenant_column,
    string_agg(distinct m.caller::text, ' and '), string_agg(distinct m.verb, ', ')) as detail,
  null::text as fix
from relations r join open_permits m on m.relation = r.oid
where r.tenant_number is not null and m.constant is null and not m.tenant_bound and m.tenant_lenient
group by r.oid, r.name, m.name, r.tenant_column
