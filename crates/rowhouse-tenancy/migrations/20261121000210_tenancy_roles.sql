-- Roles and permissions, and the function that decides. Which role may do what is data; nothing of it comes from tokens.
create table tenancy.permissions (
  name text not null,
  constraint permissions_pkey primary key (name),
  constraint permissions_name_check check (name ~ '^[a-z]+:[a-z]+$')
);
insert into tenancy.permissions (name)
select unnest(array[
  'organization:view', 'organization:update', 'organization:billing', 'organization:delete',
  'members:view', 'members:invite', 'members:manage',
  'tenant:view', 'tenant:create', 'tenant:update', 'tenant:members', 'tenant:apps',
  'identity:read', 'identity:providers', 'identity:audit',
  'permissions:view', 'permissions:modify']);

create table tenancy.roles (
  -- null: built in, of every organization
  organization_id uuid references tenancy.organizations (id) on delete cascade,
  name text not null check (name ~ '^[a-z][a-z0-9_-]{0,31}$'),
  description text not null default '' check (char_length(description) <= 500),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint roles_organization_id_name_key unique nulls not distinct (organization_id, name),
  constraint roles_organization_id_name_check
    check ((organization_id is null) = (name in ('owner', 'admin', 'manager', 'member')))
);
insert into tenancy.roles (name, description) values
  ('owner', 'Has every permission, and gives and takes the role owner.'),
  ('admin', 'Has every permission but organization:delete.'),
  ('manager', 'Manages members and tenants.'),
  ('member', 'Sees.');

create table tenancy.role_permissions (
  organization_id uuid,
  role text not null,
  permission text not null references tenancy.permissions (name),
  constraint role_permissions_organization_id_role_permission_key
    unique nulls not distinct (organization_id, role, permission),
  -- of custom roles only: a reference with a null is not checked
  constraint role_permissions_organization_id_role_fkey
    foreign key (organization_id, role) references tenancy.roles (organization_id, name) on delete cascade,
  constraint role_permissions_organization_id_role_check
    check (organization_id is not null or role in ('owner', 'admin', 'manager', 'member'))
);
insert into tenancy.role_permissions (role, permission)
select r.role, p.name
from (values ('owner'), ('admin'), ('manager'), ('member')) as r (role) cross join tenancy.permissions p
where r.role = 'owner'
  or (r.role = 'admin' and p.name <> 'organization:delete')
  or (r.role = 'manager' and p.name = any (array['organization:view', 'members:view', 'members:invite', 'members:manage',
    'tenant:view', 'tenant:create', 'tenant:update', 'tenant:members', 'tenant:apps', 'identity:read', 'identity:audit',
    'permissions:view']))
  or (r.role = 'member' and (p.name like '%:view' or p.name = 'identity:read'));

do $$
declare
  name text;
begin
  foreach name in array array['permissions', 'roles', 'role_permissions'] loop
    execute format('alter table tenancy.%I enable row level security', name);
    execute format('alter table tenancy.%I force row level security', name);
    execute format('create policy owner_all on tenancy.%I to rowhouse_owner using (true) with check (true)', name);
  end loop;
end
$$;

create function tenancy.role_has(p_organization uuid, p_role text, p_permission text) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  -- two look-ups by the whole key instead of one with "or"
  return exists (
      select from tenancy.role_permissions p
      where p.organization_id is null and p.role = p_role and p.permission = p_permission)
    or exists (
      select from tenancy.role_permissions p
      where p.organization_id = p_organization and p.role = p_role and p.permission = p_permission);
end
$$;
comment on function tenancy.role_has(uuid, text, text) is
  'Whether a role, built in or the organization''s own, has a permission.';

-- The roles that count for a user at this moment: that in the organization, and with a tenant that in the tenant. None
-- while the organization or the tenant is closed, or if the tenant is another organization's. Without an organization it
-- is the tenant's. Who merely belongs to the organization, since every tenant's members do, sees nothing of its other
-- tenants.
create function tenancy.roles_of(p_user uuid, p_organization uuid, p_tenant uuid)
returns table (organization_id uuid, role text)
language plpgsql stable rows 2 set search_path = pg_catalog, pg_temp as $$
declare
  v_organization uuid := p_organization;
begin
  if p_tenant is not null then
    select t.organization_id into v_organization from tenancy.tenants t
    where t.id = p_tenant and t.is_open and (p_organization is null or t.organization_id = p_organization);
  end if;
  if not exists (select from tenancy.organizations o where o.id = v_organization and o.is_open) then
    return;
  end if;
  return query
    select m.organization_id, m.role from tenancy.organization_members m
    where m.organization_id = v_organization and m.user_id = p_user and m.status = 'active'
      and (p_tenant is null or m.role <> 'member')
    union all
    select v_organization, m.role from tenancy.memberships m
    where m.tenant_id = p_tenant and m.user_id = p_user and m.is_active;
end
$$;
comment on function tenancy.roles_of(uuid, uuid, uuid) is
  'The roles that count for a user in an organization, or in a tenant, at this moment.';

create function tenancy.may(p_user uuid, p_organization uuid, p_tenant uuid, p_permission text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from tenancy.roles_of(p_user, p_organization, p_tenant) r
    where tenancy.role_has(r.organization_id, r.role, p_permission))
$$;
comment on function tenancy.may(uuid, uuid, uuid, text) is
  'Whether a user has a permission in an organization, or in a tenant: routes, commands and policies all ask this.';

-- An operator who acts as a user in one tenant stays there, wherever else the user is a member. A session that is gone reaches nothing.
create function tenancy.session_reaches(p_session uuid, p_tenant uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select p_session is null or exists (
    select from auth.sessions s where s.id = p_session and (s.only_tenant_id is null or s.only_tenant_id = p_tenant))
$$;
comment on function tenancy.session_reaches(uuid, uuid) is
  'Whether what is done in a session may concern this tenant; without one, whether it may concern anything beside a tenant.';

create function tenancy.permissions_of(p_organization uuid, p_role text) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return array(
    select p.permission from tenancy.role_permissions p where p.organization_id is null and p.role = p_role
    union all
    select p.permission from tenancy.role_permissions p where p.organization_id = p_organization and p.role = p_role
    order by 1);
end
$$;
comment on function tenancy.permissions_of(uuid, text) is
  'The permissions of a role, built in or the organization''s own, in the order of their names.';
revoke execute on function tenancy.permissions_of(uuid, text), tenancy.role_has(uuid, text, text), tenancy.roles_of(uuid, uuid, uuid),
  tenancy.may(uuid, uuid, uuid, text), tenancy.session_reaches(uuid, uuid) from public;

-- Looked up, not taken from the token: a removed role is lost with the next statement.
create function auth.has_permission(permission text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select tenancy.may(auth.uid(), null, auth.tenant_id(), permission)
$$;
comment on function auth.has_permission(text) is
  'Whether the caller has a permission in the tenant of the token at this moment.';
create function tenancy.has_permission(permission text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select auth.has_permission(permission)
$$;
comment on function tenancy.has_permission(text) is 'The same as auth.has_permission.';
grant execute on function auth.has_permission(text), tenancy.has_permission(text) to public;
