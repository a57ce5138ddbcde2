select r.name as relation, null::text as object, o.sentence as detail, format('select tenancy.protect(%L);', r.name) as fix
from relations r join open_to o on o.relation = r.oid
where r.kind in ('r', 'p') and not r.is_secured
  -- these two have checks of their own
  and not exists (select from policies p where p.relation = r.oid)
  and not exists (select from children c where c.child = r.oid)
