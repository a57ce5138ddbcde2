select r.name as relation, m.name::text as object,
  format('does not look at the row: %s may %s all rows', string_agg(distinct m.caller::text, ' and '),
    string_agg(distinct m.verb, ', ')) as detail,
  null::text as fix
from relations r join open_permits m on m.relation = r.oid
where r.tenant_number is null and r.oid not in (select oid from shared)
  and case when m.constant is null then not m.row_lenient else m.constant and m.verb = 'select' end
group by r.oid, r.name, m.name
