select r.name as relation, null::text as object, o.sentence as detail,
  (select string_agg(distinct format('revoke all on %s from %s;', r.name, g.grantee), ' ')
    from weak_grants g where g.relation = r.oid) as fix
from relations r join open_to o on o.relation = r.oid
where r.kind = 'f'
