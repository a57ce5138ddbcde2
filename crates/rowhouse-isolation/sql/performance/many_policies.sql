select r.name as relation, null::text as object,
  format('%s for %s: %s', m.verb, m.caller, string_agg(distinct m.name::text, ', ')) as detail, null::text as fix
from relations r join permits m on m.relation = r.oid
where m.is_permissive
group by r.oid, r.name, m.verb, m.caller
having count(distinct m.policy) > 1
