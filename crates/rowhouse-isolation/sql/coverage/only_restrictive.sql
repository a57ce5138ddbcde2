select r.name as relation, null::text as object,
  format('%s only restrict, and nothing permits: nobody gets a row', string_agg(distinct m.name::text, ', ')) as detail,
  null::text as fix
from relations r join permits m on m.relation = r.oid
where r.is_secured
group by r.oid, r.name
having not bool_or(m.is_permissive)
