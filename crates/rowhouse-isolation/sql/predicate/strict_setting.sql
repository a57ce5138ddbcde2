select r.name as relation, p.name::text as object,
  'current_setting without true as its second argument: an error, not an empty result, where the setting was never set' as detail,
  null::text as fix
from relations r join policies p on p.relation = r.oid
where exists (select from expressions e where e.policy = p.oid and e.strict_setting)
