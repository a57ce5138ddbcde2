-- $USERS users and $TENANTS tenants in a fifth as many organizations, each user a member of one, with two sessions. A fifth of
-- the tenants and all $CLOSED users whom the bulk job closes are in the first organization. What triggers would do is left
-- out, since it takes minutes; the profiles that they would make are made here.
set session_replication_role = replica;

-- Ids in no order, as `request::id` has them.
create function pg_temp.id(n int) returns uuid language sql immutable return
  (lpad(to_hex(n * 2654435761 % 4294967296), 8, '0') || '-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid;
create temporary table size as select $USERS as users, $TENANTS as tenants, $TENANTS / 5 as many, $CLOSED as closed;
-- Where each user is: the organization, and a tenant of it.
create temporary table place as
select n, pg_temp.id(n) as user_id,
  case when n <= closed then 1 else 2 + n % (many - 1) end as organization,
  case when n <= closed then 1 + n % many else (many - 1) * (many / (many - 1) + 1) + n % (many - 1) end as tenant
from size, generate_series(1, users) n;

insert into tenancy.organizations (id, name, slug)
select pg_temp.id(n), 'Organization ' || n, 'organization-' || n from size, generate_series(1, many) n;
insert into tenancy.tenants (id, organization_id, name, slug)
select pg_temp.id(n), pg_temp.id(case when n <= many then 1 else 2 + n % (many - 1) end),
  'Tenant ' || n, 'tenant-' || n
from size, generate_series(1, tenants) n;
insert into auth.users (id, aud, role, email, phone, raw_user_meta_data, created_at, email_confirmed_at)
select user_id, 'authenticated', 'authenticated', 'user' || n || '@example.com', 491000000 + n,
  jsonb_build_object('full_name', 'Person' || n || ' Name' || n % 977), now(), now()
from place;
insert into tenancy.user_profiles (user_id, full_name) select user_id, 'Person' || n || ' Name' || n % 977 from place;
insert into tenancy.organization_members (organization_id, user_id, role)
select pg_temp.id(organization), user_id, case when n % 50 = 0 then 'owner' else 'member' end from place;
insert into tenancy.memberships (tenant_id, user_id)
select pg_temp.id(tenant), user_id from place;
insert into auth.sessions (id, user_id, created_at, aal, tenant_id)
select gen_random_uuid(), user_id, now(), 'aal1', pg_temp.id(tenant) from place, generate_series(1, 2);
