-- The organization of an entry of the audit log whose writer names only the tenant. Writes the body of the hook.
create or replace function audit.organization_of(tenant uuid) returns uuid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select t.organization_id from tenancy.tenants t where t.id = organization_of.tenant
$$;
