-- The claims of a tenant's job: a member without a user id. Null, so that the job waits, while the tenant or its
-- organization is closed. Writes the body of the hook.
create or replace function jobs.claims_of(of_tenant uuid) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object('role', 'authenticated', 'tenant_id', t.id, 'org_id', t.organization_id)
  from tenancy.tenants t join tenancy.organizations o on o.id = t.organization_id
  where t.id = of_tenant and t.is_open and o.is_open
$$;

-- Tenants whose jobs are not fetched.
create or replace function jobs.suspended_tenants() returns setof uuid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select t.id from tenancy.tenants t where not t.is_open
  union
  select t.id from tenancy.organizations o join tenancy.tenants t on t.organization_id = o.id where not o.is_open
$$;

-- Whether a tenant exists, for pausing its jobs.
create or replace function jobs.is_tenant(id uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (select from tenancy.tenants t where t.id = is_tenant.id)
$$;
