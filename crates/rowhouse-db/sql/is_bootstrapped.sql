-- Whether roles and this database's grants are in place: roles belong to the whole server, and may have been created
-- for another database. $1 and $2 are the data plane's logins. By oid, since a missing role is not an error here.
select count(*) = 9
  and to_regnamespace('extensions') is not null
  -- last of all; without it functions of the platform would be open to everybody
  and exists (
    select from pg_default_acl d
    where d.defaclrole = (select o.oid from pg_roles o where o.rolname = 'rowhouse_owner') and d.defaclobjtype = 'f'
      and d.defaclnamespace = 0 and not exists (select from aclexplode(d.defaclacl) a where a.grantee = 0))
  and coalesce(bool_and(case
    when rolname = 'rowhouse_owner' then has_database_privilege(oid, current_database(), 'create') and pg_has_role(oid, 'member')
    when rolname = 'rowhouse_caller' then pg_has_role(oid, 'member')
    when rolname = 'rowhouse_project' then has_database_privilege(oid, current_database(), 'create')
      and has_schema_privilege(oid, 'public', 'create')
    when rolname in ('rowhouse', $1::text, $2::text) then has_database_privilege(oid, current_database(), 'connect')
    else true
  end), false)
from pg_roles
where rolname in ('anon', 'authenticated', 'service_role', 'rowhouse_owner', 'rowhouse_project', 'rowhouse_caller', 'rowhouse',
  $1::text, $2::text)
