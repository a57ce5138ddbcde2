-- One tenant tree: organization (customer account) -> tenants (workspaces) -> members.
create schema tenancy;
grant usage on schema tenancy to rowhouse_project, service_role, authenticated, anon;

create table tenancy.organizations (
  id uuid not null default gen_random_uuid(),
  name text not null check (char_length(name) between 1 and 200),
  -- unique handle for URLs
  slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  status text not null default 'active' check (status in ('active', 'suspended', 'cancelled')),
  -- created by a sign-up for that user
  is_personal boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint organizations_pkey primary key (id),
  constraint organizations_slug_key unique (slug)
);

create table tenancy.tenants (
  id uuid not null default gen_random_uuid(),
  organization_id uuid not null references tenancy.organizations (id) on delete cascade,
  name text not null check (char_length(name) between 1 and 200),
  slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  status text not null default 'active' check (status in ('active', 'suspended', 'cancelled')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint tenants_pkey primary key (id),
  constraint tenants_organization_id_slug_key unique (organization_id, slug)
);

create table tenancy.memberships (
  tenant_id uuid not null references tenancy.tenants (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  role text not null default 'member' check (role in ('owner', 'admin', 'member')),
  status text not null default 'active' check (status in ('active', 'suspended')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint memberships_pkey primary key (tenant_id, user_id)
);
create index memberships_user_id_idx on tenancy.memberships (user_id);

create table tenancy.user_profiles (
  id uuid not null default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  role text not null default 'member',
  is_active boolean not null default true,
  full_name text,
  last_login timestamptz,
  deactivated_at timestamptz,
  deactivated_by uuid,
  deactivation_reason text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint user_profiles_pkey primary key (id),
  constraint user_profiles_user_id_key unique (user_id)
);

-- which role may do what inside a tenant
create table tenancy.role_permissions (
  role text not null,
  permission text not null,
  constraint role_permissions_pkey primary key (role, permission)
);
insert into tenancy.role_permissions (role, permission)
select r.role, p.permission
from (values ('owner'), ('admin'), ('member')) as r (role)
cross join unnest(array[
  'organization:view', 'organization:update', 'organization:billing', 'organization:delete',
  'members:view', 'members:invite', 'members:manage',
  'tenant:view', 'tenant:create', 'tenant:update', 'tenant:members', 'tenant:apps',
  'identity:read', 'identity:providers', 'identity:audit',
  'permissions:view', 'permissions:modify']) as p (permission)
where r.role = 'owner'
  or (r.role = 'admin' and p.permission <> 'organization:delete')
  or (r.role = 'member' and (p.permission like '%:view' or p.permission = 'identity:read'));

create table tenancy.products (
  id uuid not null default gen_random_uuid(),
  slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  name text not null,
  created_at timestamptz not null default now(),
  constraint products_pkey primary key (id),
  constraint products_slug_key unique (slug)
);

create table tenancy.entitlements (
  id uuid not null default gen_random_uuid(),
  tenant_id uuid not null references tenancy.tenants (id) on delete cascade,
  product_id uuid not null references tenancy.products (id) on delete cascade,
  -- null: every member of the tenant
  user_id uuid references auth.users (id) on delete cascade,
  roles text[] not null default '{}',
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  constraint entitlements_pkey primary key (id),
  constraint entitlements_tenant_id_product_id_user_id_key unique nulls not distinct (tenant_id, product_id, user_id)
);
create index entitlements_product_id_idx on tenancy.entitlements (product_id);
create index entitlements_user_id_idx on tenancy.entitlements (user_id);

do $$
declare
  name text;
begin
  foreach name in array array['organizations', 'tenants', 'memberships', 'user_profiles', 'role_permissions',
    'products', 'entitlements'] loop
    execute format('alter table tenancy.%I enable row level security', name);
    execute format('alter table tenancy.%I force row level security', name);
    execute format('create policy owner_all on tenancy.%I to rowhouse_owner using (true) with check (true)', name);
  end loop;
end
$$;

alter table auth.sessions add constraint sessions_tenant_id_fkey
  foreign key (tenant_id) references tenancy.tenants (id) on delete set null;

-- Profile, personal organization, tenant and membership come with the user, in the same transaction. Invited
-- users join an existing tenant and get the profile only.
create function tenancy.on_auth_user_created() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  organization uuid;
  tenant uuid;
  label text := coalesce(nullif(split_part(new.email, '@', 1), ''), 'personal');
begin
  insert into tenancy.user_profiles (user_id, full_name)
  values (new.id, left(nullif(new.raw_user_meta_data ->> 'full_name', ''), 200))
  on conflict (user_id) do nothing;
  if new.invited_at is not null then
    return new;
  end if;
  insert into tenancy.organizations (name, slug, is_personal)
  values (left(label, 200), 'u-' || new.id, true) returning id into organization;
  insert into tenancy.tenants (organization_id, name, slug)
  values (organization, left(label, 200), 'default') returning id into tenant;
  insert into tenancy.memberships (tenant_id, user_id, role) values (tenant, new.id, 'owner');
  return new;
end
$$;
create trigger on_auth_user_created after insert on auth.users
  for each row execute function tenancy.on_auth_user_created();

-- the tenant a new session starts in: the oldest that is still open to the user
create function tenancy.default_tenant(member uuid) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select m.tenant_id
  from tenancy.memberships m
  join tenancy.tenants t on t.id = m.tenant_id
  join tenancy.organizations o on o.id = t.organization_id
  where m.user_id = member and m.status = 'active' and t.status = 'active' and o.status = 'active'
  order by m.created_at, m.tenant_id
  limit 1
$$;

-- Looked up, not taken from the token: a removed role is lost with the next statement.
create function auth.has_permission(permission text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from tenancy.memberships m
    join tenancy.role_permissions p on p.role = m.role
    where m.tenant_id = auth.tenant_id() and m.user_id = auth.uid() and m.status = 'active'
      and p.permission = has_permission.permission)
$$;
create function auth.has_entitlement(product text, role text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from tenancy.entitlements e
    join tenancy.products p on p.id = e.product_id
    where e.tenant_id = auth.tenant_id() and (e.user_id is null or e.user_id = auth.uid())
      and (e.expires_at is null or e.expires_at > now())
      and p.slug = has_entitlement.product and has_entitlement.role = any (e.roles))
$$;
grant execute on function auth.has_permission(text), auth.has_entitlement(text, text) to public;
