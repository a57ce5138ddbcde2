select v.name as relation, null::text as object,
  format('reads %s with the rights of %I', string_agg(b.name, ', ' order by b.name), pg_get_userbyid(v.owner)) as detail,
  format('alter view %s set (security_invoker = true);', v.name) as fix
from relations v join open_to o on o.relation = v.oid join behind b on b.viewer = v.oid
where v.kind = 'v' and not v.is_invoker and b.is_secured
group by v.oid, v.name, v.owner
having not bool_or(b.is_all)
