-- The organization of an entry of the audit log whose writer names only the tenant. Writes the body of the hook.
create or replace function audit.organization_of(tenant uuid) returns uuid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select t.organization_id from tenancy.tenants t where t.id = organization_of.tenant
$$;

create or replace function audit.acts_in(actor text, tenant uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when $1 ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    then exists (select from tenancy.memberships m where m.tenant_id = $2 and m.user_id = $1::uuid) else true end
$$;
