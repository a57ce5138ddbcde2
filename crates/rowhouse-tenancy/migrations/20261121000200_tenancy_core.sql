-- One tenant tree: organization (customer account) -> tenants (workspaces) -> members.
create schema tenancy;
grant usage on schema tenancy to rowhouse_project, service_role, authenticated, anon;

create table tenancy.plans (
  name text not null,
  constraint plans_pkey primary key (name),
  constraint plans_name_check check (name ~ '^[a-z][a-z0-9_-]{0,31}$')
);

create table tenancy.organizations (
  id uuid not null default gen_random_uuid(),
  name text not null check (char_length(name) between 1 and 200),
  -- unique handle for URLs
  slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  status text not null default 'active' check (status in ('trial', 'active', 'suspended', 'cancelled', 'deleted')),
  -- the one place that says which statuses are open; every check reads it
  is_open boolean not null generated always as (status in ('trial', 'active')) stored,
  trial_ends_at timestamptz,
  suspended_at timestamptz,
  suspension_reason text check (char_length(suspension_reason) <= 500),
  deleted_at timestamptz,
  -- where a restore leads: a suspension is not lifted by deleting and restoring
  deleted_from text,
  -- created by a sign-up for that user
  is_personal boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint organizations_pkey primary key (id),
  constraint organizations_slug_key unique (slug)
);
-- search by the beginning of a name or slug
create index organizations_name_idx on tenancy.organizations (lower(name) text_pattern_ops);
create index organizations_slug_idx on tenancy.organizations (slug text_pattern_ops);
create index organizations_status_idx on tenancy.organizations (status, id) where not is_open;

create table tenancy.tenants (
  id uuid not null default gen_random_uuid(),
  organization_id uuid not null references tenancy.organizations (id) on delete cascade,
  name text not null,
  slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  status text not null default 'active'
    check (status in ('trial', 'active', 'suspended', 'cancelled', 'deleted', 'erased')),
  is_open boolean not null generated always as (status in ('trial', 'active')) stored,
  plan text references tenancy.plans (name),
  trial_ends_at timestamptz,
  suspended_at timestamptz,
  suspension_reason text check (char_length(suspension_reason) <= 500),
  deleted_at timestamptz,
  deleted_from text,
  branding jsonb not null default '{}'
    check (jsonb_typeof(branding) = 'object' and length(branding::text) <= 8192),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint tenants_pkey primary key (id),
  constraint tenants_organization_id_slug_key unique (organization_id, slug),
  -- of an erased tenant only the skeleton is left
  constraint tenants_name_status_check check (char_length(name) between 1 and 200 or status = 'erased')
);
create index tenants_organization_id_id_idx on tenancy.tenants (organization_id, id);
create index tenants_name_idx on tenancy.tenants (lower(name) text_pattern_ops);
create index tenants_slug_idx on tenancy.tenants (slug text_pattern_ops);
create index tenants_status_idx on tenancy.tenants (status, id) where not is_open;
create index tenants_plan_idx on tenancy.tenants (plan) where plan is not null;

create table tenancy.organization_members (
  organization_id uuid not null references tenancy.organizations (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  role text not null default 'member',
  status text not null default 'active' check (status in ('active', 'suspended')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint organization_members_pkey primary key (organization_id, user_id)
);
create index organization_members_user_id_idx on tenancy.organization_members (user_id);
create index organization_members_role_idx on tenancy.organization_members (organization_id, role);
-- for counting
create index organization_members_organization_id_idx on tenancy.organization_members (organization_id) where status = 'active';

create table tenancy.memberships (
  tenant_id uuid not null references tenancy.tenants (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  role text not null default 'member',
  status text not null default 'active' check (status in ('active', 'suspended')),
  -- a copy of organization_members.status, so that the check of every request need not join it
  is_suspended_above boolean not null default false,
  is_active boolean not null generated always as (status = 'active' and not is_suspended_above) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint memberships_pkey primary key (tenant_id, user_id)
);
create index memberships_user_id_idx on tenancy.memberships (user_id);
-- for counting
create index memberships_tenant_id_idx on tenancy.memberships (tenant_id) where is_active;

create table tenancy.user_profiles (
  id uuid not null default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  -- for the application: nothing in Rowhouse is permitted by it
  role text not null default 'member' check (role in ('admin', 'manager', 'member', 'viewer',
    'portfolio_manager', 'project_manager', 'resource_manager', 'team_member')),
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

do $$
declare
  name text;
begin
  foreach name in array array['plans', 'organizations', 'tenants', 'organization_members', 'memberships',
    'user_profiles'] loop
    execute format('alter table tenancy.%I enable row level security', name);
    execute format('alter table tenancy.%I force row level security', name);
    execute format('create policy owner_all on tenancy.%I to rowhouse_owner using (true) with check (true)', name);
  end loop;
end
$$;

alter table auth.sessions add constraint sessions_tenant_id_fkey
  foreign key (tenant_id) references tenancy.tenants (id) on delete set null;

-- the tenant a new session starts in: the oldest that is still open to the user
create function tenancy.default_tenant(member uuid) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select m.tenant_id
  from tenancy.memberships m
  join tenancy.tenants t on t.id = m.tenant_id
  join tenancy.organizations o on o.id = t.organization_id
  where m.user_id = member and m.is_active and t.is_open and o.is_open
  order by m.created_at, m.tenant_id
  limit 1
$$;
