select r.name as relation, r.tenant_column::text as object, 'a row without tenant belongs to nobody, and no policy finds it' as detail,
  format('alter table %s alter column %I set not null;', r.name, r.tenant_column) as fix
from relations r
where r.kind in ('r', 'p') and r.is_secured and not r.is_partition and not r.has_tenant_always
  and exists (select from permits m where m.relation = r.oid)
