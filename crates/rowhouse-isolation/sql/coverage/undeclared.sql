select r.name as relation, null::text as object, 'neither tenancy.protect nor tenancy.share; nobody may use it yet' as detail,
  format('select tenancy.protect(%L);', r.name) as fix
from relations r
where r.kind in ('r', 'p') and r.is_served and not r.is_secured
  and not exists (select from open_to o where o.relation = r.oid)
  and not exists (select from policies p where p.relation = r.oid)
  and not exists (select from children c where c.child = r.oid)
