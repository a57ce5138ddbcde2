-- finds role anon; role authenticated; role authenticator
-- bad
reset role;
alter role anon bypassrls;
grant rowhouse_project to authenticated
-- good
reset role;
create role reporting nologin;
grant reporting to authenticator
