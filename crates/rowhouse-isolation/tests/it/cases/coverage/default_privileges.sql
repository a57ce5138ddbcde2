-- finds role rowhouse_project
-- bad
alter default privileges grant select, insert on tables to anon;
alter default privileges in schema public grant select on tables to public
-- good
alter default privileges grant select on tables to service_role
