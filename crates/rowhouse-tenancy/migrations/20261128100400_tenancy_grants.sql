-- The project's SQL and service_role read the tree; changes go through the admin API and its rules.

-- Without columns it is the whole table. Tables with sealed or hashed columns name the others.
create function tenancy.show_to_project(target regclass, columns text[] default null) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  listed text := (select '(' || string_agg(quote_ident(name), ', ') || ')' from unnest(columns) name);
begin
  execute format('grant select %s on %s to service_role, rowhouse_project', coalesce(listed, ''), target);
  execute format('create policy project_select on %s for select to service_role, rowhouse_project using (true)', target);
end
$$;
comment on function tenancy.show_to_project(regclass, text[]) is
  'Lets the project''s SQL and service_role read a table of the platform, or some of its columns.';
revoke execute on function tenancy.show_to_project(regclass, text[]) from public;

select tenancy.show_to_project(('tenancy.' || name)::regclass)
from unnest(array['plans', 'organizations', 'tenants', 'organization_members', 'memberships', 'user_profiles', 'permissions',
  'roles', 'role_permissions', 'modules', 'module_permissions', 'tenant_limits', 'operators']) as name;

-- the project's tables may refer to them
grant references on tenancy.organizations, tenancy.tenants, tenancy.user_profiles to rowhouse_project;
-- a product's migrations declare its modules
grant insert, update, delete on tenancy.modules, tenancy.module_permissions to rowhouse_project;
create policy project_write on tenancy.modules to rowhouse_project using (true) with check (true);
create policy project_write on tenancy.module_permissions to rowhouse_project using (true) with check (true);
