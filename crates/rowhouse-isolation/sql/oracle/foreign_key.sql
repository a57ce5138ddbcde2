select r.name as relation, k.conname::text as object,
  format('whether a row of %s exists in another tenant shows by the reference', k.confrelid::regclass) as detail,
  case when to_regprocedure('tenancy.refresh_references()') is not null
      and exists (select from policies x where x.relation = r.oid and x.name = 'tenant_select')
      and exists (select from policies x where x.relation = k.confrelid and x.name = 'tenant_select')
    then 'select tenancy.refresh_references();' end as fix
from relations r join pg_constraint k on k.conrelid = r.oid and k.contype = 'f'
join relations p on p.oid = k.confrelid
where p.is_secured and p.tenant_number is not null and not r.is_partition and k.conparentid = 0
  and p.tenant_number <> all (k.confkey)
  and exists (select from reach h where h.relation = r.oid and h.verbs && array['insert', 'update'])
  -- tenancy.protect compares the tenants in a trigger
  and not exists (
    select from pg_trigger t where t.tgrelid = r.oid and t.tgname like 'tenant\_reference\_%'
      and position(convert_to(k.conname, getdatabaseencoding()) || '\x00'::bytea in t.tgargs) = 1)
