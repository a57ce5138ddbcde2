select r.name as relation, null::text as object,
  format('%s; policies of %s do not count when it is asked by its own name', o.sentence, c.of_protected) as detail,
  (select string_agg(distinct format('revoke all on %s from %s;', r.name, g.grantee), ' ')
    from weak_grants g where g.relation = r.oid) as fix
from relations r join open_to o on o.relation = r.oid join children c on c.child = r.oid
where not r.is_secured and not exists (select from policies x where x.relation = r.oid)
