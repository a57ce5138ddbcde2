-- What comes with a new user: in one place for the trigger of sign-ups and for `rowhouse users sync`. `rowhouse users repair`
-- runs this file again, so everything in it replaces what is there.
--
-- A page of a sync is small beside the tables, which the planner may not see: with its own choice, every page reads all users and
-- all organizations. So the functions leave it only the indexes.

-- A profile is made once and never changed here.
create or replace function tenancy.create_profiles(p_users uuid[], p_role text default null, p_is_active boolean default true)
returns setof uuid
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  return query
    insert into tenancy.user_profiles (user_id, role, is_active, full_name)
    select u.id, coalesce(p_role, 'member'), p_is_active and u.deleted_at is null,
      left(nullif(u.raw_user_meta_data ->> 'full_name', ''), 200)
    from auth.users u
    where u.id = any (p_users)
    -- one order for all who create, so that none waits for one that waits for it
    order by u.id
    on conflict (user_id) do nothing
    returning user_profiles.user_id;
end
$$;
comment on function tenancy.create_profiles(uuid[], text, boolean) is
  'Makes the profiles that these users lack, and returns whose; a user who was deleted softly gets an inactive one.';
revoke execute on function tenancy.create_profiles(uuid[], text, boolean) from public;

-- Invited users join an existing tenant.
create or replace function tenancy.open_personal_organizations(p_users uuid[]) returns int
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  people uuid[] := array(
    select u.id from auth.users u
    where u.id = any (p_users) and u.invited_at is null and u.deleted_at is null
      and not exists (select from tenancy.organization_members m where m.user_id = u.id)
      and not exists (select from tenancy.organizations o where o.slug = 'u-' || u.id)
    order by u.id);
  -- One of each for every owner, in the order of the organizations' ids.
  owners uuid[];
  organizations uuid[];
  tenants uuid[];
begin
  with made as (
    insert into tenancy.organizations (name, slug, is_personal)
    select left(coalesce(nullif(split_part(u.email, '@', 1), ''), 'personal'), 200), 'u-' || u.id, true
    from auth.users u where u.id = any (people) order by u.id
    returning id, slug)
  select array_agg(m.id order by m.id), array_agg(substr(m.slug, 3)::uuid order by m.id) into organizations, owners from made m;
  insert into tenancy.organization_members (organization_id, user_id, role)
  select p.organization, p.owner, 'owner' from unnest(organizations, owners) as p (organization, owner);
  with made as (
    insert into tenancy.tenants (organization_id, name, slug)
    select o.id, o.name, 'default' from tenancy.organizations o where o.id = any (organizations)
    returning id, organization_id)
  select array_agg(m.id order by m.organization_id) into tenants from made m;
  insert into tenancy.memberships (tenant_id, user_id, role)
  select p.tenant, p.owner, 'owner' from unnest(tenants, owners) as p (tenant, owner);
  return cardinality(people);
end
$$;
comment on function tenancy.open_personal_organizations(uuid[]) is
  'Gives those of these users who belong to no organization, and were not invited to one, an organization and a tenant of their own. How many.';
revoke execute on function tenancy.open_personal_organizations(uuid[]) from public;

create or replace function tenancy.on_auth_user_created() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform tenancy.create_profiles(array[new.id]);
  perform tenancy.open_personal_organizations(array[new.id]);
  return null;
end
$$;
comment on function tenancy.on_auth_user_created() is
  'Profile, and personal organization, tenant and memberships unless invited: in the transaction that makes the user.';
create or replace trigger on_auth_user_created after insert on auth.users
  for each row execute function tenancy.on_auth_user_created();
alter table auth.users enable trigger on_auth_user_created;
