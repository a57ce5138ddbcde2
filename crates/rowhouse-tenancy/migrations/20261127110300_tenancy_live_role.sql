-- The role within the tenant is looked up where a policy asks for it, never believed from the token.
-- The current role within the tenant: an owner at the time of signing may be a member now.
create or replace function auth.tenant_role() returns text
language sql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
  select m.role from tenancy.memberships m
  where m.tenant_id = auth.tenant_id() and m.user_id = auth.uid() and m.is_active
$$;
comment on function auth.tenant_role() is
  'The caller''s role in the tenant of the token, looked up; null for callers who are no members.';

-- The organization that the token names; for tokens of other issuers it is derived from the tenant.
create or replace function auth.org_id() returns uuid
language sql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
  select coalesce(
    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'org_id')::uuid,
    (select t.organization_id from tenancy.tenants t where t.id = auth.tenant_id()))
$$;
comment on function auth.org_id() is 'The organization of the tenant that the token names.';
