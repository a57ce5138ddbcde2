select r.name as relation, null::text as object,
  format('%s may %s, and no policy permits it', h.caller, string_agg(v.verb, ', ' order by v.verb)) as detail, null::text as fix
from relations r join reach h on h.relation = r.oid
cross join lateral unnest(h.verbs) as v (verb)
where r.is_secured and v.verb in ('select', 'insert', 'update', 'delete')
  and not exists (select from permits m
    where m.relation = r.oid and m.caller = h.caller and m.is_permissive and m.verb = v.verb)
  and exists (select from permits m where m.relation = r.oid and m.caller = h.caller and m.is_permissive)
group by r.oid, r.name, h.caller
