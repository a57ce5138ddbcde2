-- What signed-in users see of the tree. The views have their owner's rights and show what concerns the caller;
-- security_barrier: a function in a query's condition must not see the rows that a view hides.

-- Execute rights of functions in a view are those of its user, so this one is called with the owner's.
create function tenancy.my_tenants_with(permission text) returns setof uuid
language plpgsql stable security definer rows 5 set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select m.tenant_id from tenancy.memberships m
    where m.user_id = auth.uid() and m.is_active and tenancy.may(m.user_id, null, m.tenant_id, permission);
end
$$;
comment on function tenancy.my_tenants_with(text) is 'Tenants that the caller is a member of and has a permission in.';
grant execute on function tenancy.my_tenants_with(text) to public;

create view tenancy.my_organizations with (security_barrier) as
  select o.id, o.name, o.slug, o.status, o.is_personal, m.role, o.created_at
  from tenancy.organizations o
  join tenancy.organization_members m on m.organization_id = o.id
  where m.user_id = (select auth.uid()) and m.status = 'active' and o.is_open;
comment on view tenancy.my_organizations is 'open organizations that the caller is a member of';
comment on column tenancy.my_organizations.id is 'the organization';
comment on column tenancy.my_organizations.name is 'display name';
comment on column tenancy.my_organizations.slug is 'name in URLs';
comment on column tenancy.my_organizations.status is 'trial or active';
comment on column tenancy.my_organizations.is_personal is 'made by its owner''s sign-up';
comment on column tenancy.my_organizations.role is 'the caller''s role there';
comment on column tenancy.my_organizations.created_at is 'when it was made';

create view tenancy.my_tenants with (security_barrier) as
  select t.id, t.organization_id, t.name, t.slug, t.status, t.plan, t.trial_ends_at, t.branding, m.role, t.created_at
  from tenancy.tenants t
  join tenancy.organizations o on o.id = t.organization_id
  join tenancy.memberships m on m.tenant_id = t.id
  where m.user_id = (select auth.uid()) and m.is_active and t.is_open and o.is_open;
comment on view tenancy.my_tenants is 'open tenants that the caller is a member of';
comment on column tenancy.my_tenants.id is 'the tenant';
comment on column tenancy.my_tenants.organization_id is 'the organization that owns it';
comment on column tenancy.my_tenants.name is 'display name';
comment on column tenancy.my_tenants.slug is 'name in URLs, unique in the organization';
comment on column tenancy.my_tenants.status is 'trial or active';
comment on column tenancy.my_tenants.plan is 'what it has booked';
comment on column tenancy.my_tenants.trial_ends_at is 'end of the trial';
comment on column tenancy.my_tenants.branding is 'colours, logo and so on';
comment on column tenancy.my_tenants.role is 'the caller''s role there';
comment on column tenancy.my_tenants.created_at is 'when it was made';

create view tenancy.my_members with (security_barrier) as
  select m.tenant_id, m.user_id, u.email, p.full_name, m.role, m.status, m.created_at
  from tenancy.memberships m
  join auth.users u on u.id = m.user_id
  left join tenancy.user_profiles p on p.user_id = m.user_id
  where m.tenant_id in (select tenancy.my_tenants_with('members:view')) and u.deleted_at is null;
comment on view tenancy.my_members is 'members of the tenants in which the caller is one and has members:view';
comment on column tenancy.my_members.tenant_id is 'the tenant';
comment on column tenancy.my_members.user_id is 'the member';
comment on column tenancy.my_members.email is 'the member''s address';
comment on column tenancy.my_members.full_name is 'the member''s name';
comment on column tenancy.my_members.role is 'the member''s role';
comment on column tenancy.my_members.status is 'active or suspended';
comment on column tenancy.my_members.created_at is 'since when';

-- Project SQL and service_role see everybody, callers themselves and those with whom they share a tenant.
create view auth.users_public with (security_barrier) as
  select u.id, u.email, p.full_name
  from auth.users u
  left join tenancy.user_profiles p on p.user_id = u.id
  where u.deleted_at is null
    and ((select current_user = 'service_role' or pg_catalog.pg_has_role(current_user, 'rowhouse_project', 'usage'))
      or u.id = (select auth.uid())
      or u.id in (
        select m.user_id from tenancy.memberships m
        where m.tenant_id in (select tenancy.my_tenants_with('members:view'))));
comment on view auth.users_public is 'users that share a tenant with the caller; for service_role and the project all';
comment on column auth.users_public.id is 'the user';
comment on column auth.users_public.email is 'the user''s address';
comment on column auth.users_public.full_name is 'the user''s name, from the profile';

grant select on tenancy.my_organizations, tenancy.my_tenants, tenancy.my_members, auth.users_public
  to authenticated, service_role, rowhouse_project;
