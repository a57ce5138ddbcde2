-- What a member may do is said in one place: routes ask it, and policies ask it through auth.has_permission. Looked up at
-- this moment: a role taken away, and a tenant or organization that is closed, count at once.
create function tenancy.member_may(of_tenant uuid, member uuid, permission text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from tenancy.memberships m
    join tenancy.role_permissions p on p.role = m.role and p.permission = $3
    join tenancy.tenants t on t.id = m.tenant_id and t.status = 'active'
    join tenancy.organizations o on o.id = t.organization_id and o.status = 'active'
    where m.tenant_id = $1 and m.user_id = $2 and m.status = 'active')
$$;
comment on function tenancy.member_may(uuid, uuid, text) is
  'Whether a user is an active member of the tenant, in a role that has the permission, while tenant and organization are active.';
revoke execute on function tenancy.member_may(uuid, uuid, text) from public;

create or replace function auth.has_permission(permission text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select tenancy.member_may(auth.tenant_id(), auth.uid(), permission)
$$;
