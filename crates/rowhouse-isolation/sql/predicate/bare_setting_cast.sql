select r.name as relation, p.name::text as object,
  'casts a setting without nullif(…, ''''): a pooled session keeps the empty text after SET LOCAL, and the cast fails' as detail,
  null::text as fix
from relations r join policies p on p.relation = r.oid
where exists (select from expressions e where e.policy = p.oid and e.bare_cast)
