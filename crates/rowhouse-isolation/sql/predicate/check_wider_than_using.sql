select r.name as relation, p.name::text as object,
  case when r.tenant_number is not null then format('USING compares %I and WITH CHECK does not: a row can be moved to another tenant', r.tenant_column)
    else 'USING looks at the row and WITH CHECK does not: a row can be given away' end as detail,
  format('alter policy %I on %s with check (%s);', p.name, r.name, p.using_text) as fix
from relations r join policies p on p.relation = r.oid and p.is_permissive and p.command in ('*', 'w')
join expressions u on u.policy = p.oid and u.side = 'using'
join expressions c on c.policy = p.oid and c.side = 'check' and not c.inherited
where exists (select from open_permits m where m.policy = p.oid and m.side = 'check')
  and c.constant is distinct from false
  and case when r.tenant_number is not null then u.tenant_lenient and not c.tenant_lenient
    else u.names_row and not c.names_row end
