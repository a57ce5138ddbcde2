select v.name as relation, null::text as object,
  format('%s; it keeps rows of %s, read with the rights of %I', o.sentence, string_agg(b.name, ', ' order by b.name), pg_get_userbyid(v.owner)) as detail,
  (select string_agg(distinct format('revoke all on %s from %s;', v.name, g.grantee), ' ')
    from weak_grants g where g.relation = v.oid) as fix
from relations v join open_to o on o.relation = v.oid join behind b on b.viewer = v.oid
where v.kind = 'm'
group by v.oid, v.name, v.owner, o.sentence
