select r.name as relation, p.name::text as object, 'compares the row with an id that is written in the policy' as detail, null::text as fix
from relations r join policies p on p.relation = r.oid
where exists (select from expressions e where e.policy = p.oid and e.fixed_id)
