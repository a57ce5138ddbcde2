-- Products, where they are enabled, and who may use them in which role.
create table tenancy.products (
  id uuid not null default gen_random_uuid(),
  slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  name text not null check (char_length(name) between 1 and 200),
  description text not null default '' check (char_length(description) <= 500),
  icon_url text check (icon_url ~ '^https?://.' and length(icon_url) <= 2048),
  launcher_url text check (launcher_url ~ '^https?://.' and length(launcher_url) <= 2048),
  scopes text[] not null default '{}' check (cardinality(scopes) <= 50),
  oauth_client_id uuid references auth.oauth_clients (id) on delete set null,
  status text not null default 'active' check (status in ('active', 'retired')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint products_pkey primary key (id),
  constraint products_slug_key unique (slug),
  -- so that it is clear which product decides who may use an application
  constraint products_oauth_client_id_key unique (oauth_client_id)
);
comment on table tenancy.products is 'what tenants can use';
comment on column tenancy.products.id is 'key';
comment on column tenancy.products.slug is 'name in URLs, and as auth.product_role takes it';
comment on column tenancy.products.name is 'display name';
comment on column tenancy.products.description is 'what it is';
comment on column tenancy.products.icon_url is 'icon that a launcher shows';
comment on column tenancy.products.launcher_url is 'where a launcher leads';
comment on column tenancy.products.scopes is 'scopes that its application asks for';
comment on column tenancy.products.oauth_client_id is 'its application; who is not entitled to the product gets no token for it';
comment on column tenancy.products.status is 'active or retired; a retired product gives nobody anything';
comment on column tenancy.products.created_at is 'when it was made';
comment on column tenancy.products.updated_at is 'last change';

create table tenancy.tenant_products (
  tenant_id uuid not null references tenancy.tenants (id) on delete cascade,
  product_id uuid not null references tenancy.products (id),
  environment text not null check (environment in ('production', 'staging', 'development')),
  enabled_by text not null default coalesce(nullif(current_setting('rowhouse.actor', true), ''), 'sql:' || session_user)
    check (length(enabled_by) between 1 and 255),
  enabled_at timestamptz not null default now(),
  constraint tenant_products_pkey primary key (tenant_id, product_id, environment)
);
create index tenant_products_product_id_idx on tenancy.tenant_products (product_id);
comment on table tenancy.tenant_products is 'products that tenants use';
comment on column tenancy.tenant_products.tenant_id is 'the tenant';
comment on column tenancy.tenant_products.product_id is 'the product';
comment on column tenancy.tenant_products.environment is 'production, staging or development';
comment on column tenancy.tenant_products.enabled_by is 'who enabled it, as in the audit log';
comment on column tenancy.tenant_products.enabled_at is 'since when';

create table tenancy.entitlements (
  id uuid not null default gen_random_uuid(),
  tenant_id uuid not null references tenancy.tenants (id) on delete cascade,
  product_id uuid not null references tenancy.products (id) on delete cascade,
  user_id uuid,
  role text not null
    check (role in ('OWNER', 'ADMIN', 'EDITOR', 'VIEWER', 'ANALYST', 'CONTRIBUTOR', 'MEMBER')),
  expires_at timestamptz check (isfinite(expires_at)),
  granted_by text not null default coalesce(nullif(current_setting('rowhouse.actor', true), ''), 'sql:' || session_user)
    check (length(granted_by) between 1 and 255),
  last_used_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint entitlements_pkey primary key (id),
  constraint entitlements_tenant_id_product_id_user_id_key unique nulls not distinct (tenant_id, product_id, user_id),
  -- only for members, and who leaves the tenant loses them
  constraint entitlements_tenant_id_user_id_fkey foreign key (tenant_id, user_id)
    references tenancy.memberships (tenant_id, user_id) on delete cascade
);
create index entitlements_product_id_idx on tenancy.entitlements (product_id);
create index entitlements_user_id_idx on tenancy.entitlements (user_id);
create index entitlements_tenant_id_id_idx on tenancy.entitlements (tenant_id, id);
create index entitlements_tenant_id_idx on tenancy.entitlements (tenant_id) where user_id is null;
comment on table tenancy.entitlements is 'who may use which product of a tenant, in which role';
comment on column tenancy.entitlements.id is 'key';
comment on column tenancy.entitlements.tenant_id is 'the tenant';
comment on column tenancy.entitlements.product_id is 'the product, which is enabled for the tenant';
comment on column tenancy.entitlements.user_id is 'only this member; null means all, unless they have one of their own';
comment on column tenancy.entitlements.role is 'OWNER, ADMIN, EDITOR, VIEWER, ANALYST, CONTRIBUTOR or MEMBER';
comment on column tenancy.entitlements.expires_at is 'until when; null means without end';
comment on column tenancy.entitlements.granted_by is 'who gave it last, as in the audit log';
comment on column tenancy.entitlements.last_used_at is 'last time that it let somebody use the product''s application, a minute late at most';
comment on column tenancy.entitlements.created_at is 'since when';
comment on column tenancy.entitlements.updated_at is 'last change';

do $$
declare
  name text;
begin
  foreach name in array array['products', 'tenant_products', 'entitlements'] loop
    execute format('alter table tenancy.%I enable row level security', name);
    execute format('alter table tenancy.%I force row level security', name);
    execute format('create policy owner_all on tenancy.%I to rowhouse_owner using (true) with check (true)', name);
    perform tenancy.show_to_project(format('tenancy.%I', name)::regclass);
  end loop;
end
$$;
-- the project's tables may refer to them
grant references on tenancy.products to rowhouse_project;

create function tenancy.check_entitlement() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (
    select from tenancy.tenant_products a where a.tenant_id = new.tenant_id and a.product_id = new.product_id) then
    raise exception using errcode = 'foreign_key_violation', constraint = 'entitlements_tenant_id_product_id_fkey',
      message = 'the product is not enabled for the tenant';
  end if;
  return new;
end
$$;
comment on function tenancy.check_entitlement() is 'Only products that are enabled for the tenant.';
create trigger check_entitlement before insert or update of tenant_id, product_id on tenancy.entitlements
  for each row execute function tenancy.check_entitlement();
