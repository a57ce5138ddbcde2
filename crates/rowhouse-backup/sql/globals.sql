-- What a dump of the database leaves to the server: roles that own something in it or that a grant, a policy or default
-- privileges name, those they are members of, settings of both, and the grants on the database itself. No passwords.
with recursive
  db as (
    select oid, datdba, coalesce(datacl, acldefault('d', datdba)) as acl
    from pg_catalog.pg_database where datname = pg_catalog.current_database()
  ),
  named (oid) as (
    select depends.refobjid from pg_catalog.pg_shdepend depends, db
    where depends.refclassid = 'pg_catalog.pg_authid'::regclass
      and (depends.dbid = db.oid
        or depends.dbid = 0 and depends.classid = 'pg_catalog.pg_database'::regclass and depends.objid = db.oid)
    union select datdba from db
    -- initdb's superuser, of whom no dependencies are recorded
    union select 10::oid
    union select member.roleid from pg_catalog.pg_auth_members member join named on member.member = named.oid
  ),
  roles as (
    select role.* from pg_catalog.pg_roles role join named using (oid) where role.rolname !~ '^pg_'
  )
select jsonb_build_object(
  'roles', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'name', rolname, 'login', rolcanlogin, 'inherit', rolinherit, 'create_role', rolcreaterole,
      'create_db', rolcreatedb, 'bypass_rls', rolbypassrls, 'replication', rolreplication,
      'connection_limit', rolconnlimit) order by rolname), '[]')
    from roles),
  'memberships', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'role', role.rolname, 'member', roles.rolname, 'admin', given.admin_option,
      -- since PostgreSQL 16
      'inherit', to_jsonb(given) -> 'inherit_option', 'set', to_jsonb(given) -> 'set_option')
      order by role.rolname, roles.rolname), '[]')
    from pg_catalog.pg_auth_members given
    join pg_catalog.pg_roles role on role.oid = given.roleid
    join roles on roles.oid = given.member),
  'settings', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'role', roles.rolname, 'in_database', setting.setdatabase <> 0, 'setting', pair)), '[]')
    from db, pg_catalog.pg_db_role_setting setting
    cross join lateral unnest(setting.setconfig) pair
    left join roles on roles.oid = setting.setrole
    where setting.setdatabase in (0, db.oid) and (setting.setrole = 0 or roles.oid is not null)),
  'grants', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'role', role.rolname, 'privilege', given.privilege_type, 'grantable', given.is_grantable)), '[]')
    from db cross join lateral aclexplode(db.acl) given
    left join pg_catalog.pg_roles role on role.oid = given.grantee
    where given.grantee = 0 or role.oid is not null)
)::text
