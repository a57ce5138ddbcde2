-- Whether roles and this database's grants are in place: roles belong to the whole server, and another database may
-- have brought them. Asked by oid, since a role that is missing is no error here.
select count(*) = 9
  and to_regnamespace('extensions') is not null
  and coalesce(bool_and(case rolname
    when 'rowhouse_owner' then has_database_privilege(oid, current_database(), 'create') and pg_has_role(oid, 'member')
    when 'rowhouse_caller' then pg_has_role(oid, 'member')
    when 'rowhouse_project' then has_database_privilege(oid, current_database(), 'create')
      and has_schema_privilege(oid, 'public', 'create')
    when 'rowhouse' then has_database_privilege(oid, current_database(), 'connect')
    when 'authenticator' then has_database_privilege(oid, current_database(), 'connect')
    when 'authenticator_service' then has_database_privilege(oid, current_database(), 'connect')
    else true
  end), false)
from pg_roles
where rolname in ('anon', 'authenticated', 'service_role', 'rowhouse_owner', 'rowhouse_project', 'rowhouse_caller', 'rowhouse',
  'authenticator', 'authenticator_service')
