select r.name as relation, m.name::text as object,
  format('compares nothing of the row: %s may %s rows of every tenant', string_agg(distinct m.caller::text, ' and '),
    string_agg(distinct m.verb, ', ')) as detail,
  case when r.is_standard then format('alter policy %I on %s%s%s;', m.name, r.name,
    ' using (' || p.using_text || ' and tenant_id = (select auth.tenant_id()))',
    ' with check (' || p.check_text || ' and tenant_id = (select auth.tenant_id()))') end as fix
from relations r join open_permits m on m.relation = r.oid join policies p on p.oid = m.policy
where r.tenant_number is not null and m.constant is null and not m.row_lenient
group by r.oid, r.name, r.is_standard, m.name, p.using_text, p.check_text
