select r.name as relation, m.name::text as object,
  format('true for every row: %s may %s', string_agg(distinct m.caller::text, ' and '), string_agg(distinct m.verb, ', ')) as detail,
  case
    when r.is_standard then format('alter policy %I on %s%s%s;', m.name, r.name,
      case when p.command <> 'a' then ' using (tenant_id = (select auth.tenant_id()))' end,
      case when p.command = 'a' or p.check_text is not null then ' with check (tenant_id = (select auth.tenant_id()))' end)
    else format('drop policy %I on %s;', m.name, r.name)
  end as fix
from relations r join open_permits m on m.relation = r.oid join policies p on p.oid = m.policy
where m.constant and (r.tenant_number is not null or m.verb <> 'select')
group by r.oid, r.name, r.is_standard, m.name, p.command, p.check_text
