select r.name as relation, p.name::text as object, 'reads user_metadata, which users change themselves' as detail, null::text as fix
from relations r join policies p on p.relation = r.oid
where exists (select from expressions e where e.policy = p.oid and e.editable_claims)
  or exists (
    select from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass
      and d.refobjid = to_regclass('auth.users') and a.attname = 'raw_user_meta_data')
