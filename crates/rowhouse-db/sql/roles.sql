-- Roles and the grants between them, before database_grants.sql and default_privileges.sql. Idempotent, and existing ones
-- are not changed: other databases of the server may rely on it. Run by a superuser, or on a managed server by a role with CREATEROLE. Passwords are set separately; the
-- names of the data plane's logins are in rowhouse.authenticator and rowhouse.authenticator_service.
do $$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('anon', 'nologin noinherit'),
      ('authenticated', 'nologin noinherit'),
      ('service_role', 'nologin noinherit'),
      -- owns platform objects
      ('rowhouse_owner', 'nologin'),
      -- owns the project's objects and runs its migrations
      ('rowhouse_project', 'nologin'),
      -- between rowhouse_owner and authenticated, noinherit, so that the platform may change owners of functions to
      -- authenticated without having its rights; policies for callers do not apply to it either
      ('rowhouse_caller', 'nologin noinherit'),
      -- control plane
      ('rowhouse', 'login'),
      -- data plane: no rights of their own, so a missing role change fails closed
      (current_setting('rowhouse.authenticator'), 'login noinherit'),
      (current_setting('rowhouse.authenticator_service'), 'login noinherit')
    ) as roles (name, attributes)
  loop
    if not exists (select from pg_roles where rolname = wanted.name) then
      execute format('create role %I %s', wanted.name, wanted.attributes);
    end if;
  end loop;
  if not (select rolbypassrls from pg_roles where rolname = 'service_role') then
    begin
      alter role service_role bypassrls;
    exception when insufficient_privilege then
      -- tenancy.protect then writes a policy for service_role instead
      raise notice 'service_role gets policies instead of bypassrls';
    end;
  end if;
  for wanted in
    select * from (values
      ('anon', current_setting('rowhouse.authenticator')),
      ('authenticated', current_setting('rowhouse.authenticator')),
      ('service_role', current_setting('rowhouse.authenticator_service')),
      ('rowhouse_project', 'rowhouse_owner'),
      -- jobs of a tenant call functions as authenticated, through a function that this role owns (schema jobs)
      ('authenticated', 'rowhouse_caller'),
      -- so that `rls prove` can try what anybody can
      ('anon', 'rowhouse_caller'),
      ('rowhouse_caller', 'rowhouse_owner'),
      ('rowhouse_owner', 'rowhouse')
    ) as memberships (role, member)
  loop
    if not pg_has_role(wanted.member, wanted.role, 'member') then
      execute format('grant %I to %I', wanted.role, wanted.member);
    end if;
  end loop;
  -- a role that is not a superuser acts for these roles below, and in migrations, as their member
  if not (select rolsuper from pg_roles where rolname = current_user) and current_user <> 'rowhouse' then
    execute format('grant rowhouse_owner to %I', current_user);
  end if;
end
$$;
