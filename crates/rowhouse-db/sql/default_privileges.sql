-- What future objects of the project and of the platform may be used for; idempotent, and only for this database.
alter default privileges for role rowhouse_project grant all on tables to service_role;
alter default privileges for role rowhouse_project grant all on sequences to service_role;
alter default privileges for role rowhouse_project grant all on functions to service_role;
-- platform functions are closed unless granted
alter default privileges for role rowhouse_owner revoke execute on functions from public;
