-- finds role audited_app
-- bad
reset role;
create role audited_app login bypassrls
-- good
reset role;
create role audited_app login;
create role audited_group nologin bypassrls
