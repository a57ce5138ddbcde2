select r.name as relation, p.name::text as object,
  format('calls %s for each row; write (select …) around it', string_agg(distinct f.name, ', ')) as detail, null::text as fix
from relations r join policies p on p.relation = r.oid join expressions e on e.policy = p.oid
cross join lateral unnest(e.per_row) as f (name)
group by r.oid, r.name, p.oid, p.name
