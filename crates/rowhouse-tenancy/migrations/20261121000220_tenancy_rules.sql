-- What holds whoever writes: routes, commands and SQL by hand.

-- Refuses a role that the organization does not have. A custom role is locked against deletion until the end; the built-in
-- ones, which every sign-up uses, cannot be deleted.
create function tenancy.require_role(p_organization uuid, p_role text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if p_role in ('owner', 'admin', 'manager', 'member') then
    return;
  end if;
  perform from tenancy.roles r where r.organization_id = p_organization and r.name = p_role for key share;
  if not found then
    raise exception using errcode = 'foreign_key_violation', constraint = 'roles_organization_id_name_key',
      message = format('the organization has no role "%s"', p_role);
  end if;
end
$$;
comment on function tenancy.require_role(uuid, text) is 'Refuses a role that the organization does not have.';
revoke execute on function tenancy.require_role(uuid, text) from public;

create function tenancy.check_organization_role() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform tenancy.require_role(new.organization_id, new.role);
  return new;
end
$$;
comment on function tenancy.check_organization_role() is 'The role of a row with an organization exists there.';
create trigger check_role before insert or update of organization_id, role on tenancy.organization_members
  for each row execute function tenancy.check_organization_role();

-- A member of a tenant is a member of its organization, and as suspended as there. The row is locked, so that a
-- suspension at the same time is seen by one of both.
create function tenancy.on_membership_written() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  organization uuid;
begin
  select t.organization_id into organization from tenancy.tenants t where t.id = new.tenant_id;
  -- the foreign keys refuse the row
  if organization is null or not exists (select from auth.users u where u.id = new.user_id) then
    return new;
  end if;
  perform tenancy.require_role(organization, new.role);
  if tg_op = 'INSERT' then
    insert into tenancy.organization_members (organization_id, user_id, role)
    values (organization, new.user_id, 'member') on conflict do nothing;
  end if;
  select m.status = 'suspended' into new.is_suspended_above from tenancy.organization_members m
  where m.organization_id = organization and m.user_id = new.user_id for share;
  new.is_suspended_above := coalesce(new.is_suspended_above, false);
  return new;
end
$$;
comment on function tenancy.on_membership_written() is
  'Makes a tenant''s member one of the organization, and keeps is_suspended_above true to it.';
create trigger on_membership_written before insert or update of tenant_id, user_id, role, is_suspended_above
  on tenancy.memberships for each row execute function tenancy.on_membership_written();

create function tenancy.on_organization_member_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update tenancy.memberships m set is_suspended_above = new.status = 'suspended', updated_at = clock_timestamp()
  from tenancy.tenants t
  where t.organization_id = new.organization_id and m.tenant_id = t.id and m.user_id = new.user_id;
  return null;
end
$$;
comment on function tenancy.on_organization_member_changed() is
  'A suspension in the organization counts in its tenants at once.';
create trigger on_organization_member_changed after update of status on tenancy.organization_members
  for each row when (old.status <> new.status) execute function tenancy.on_organization_member_changed();

create function tenancy.on_organization_member_removed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from tenancy.memberships m using tenancy.tenants t
  where t.organization_id = old.organization_id and m.tenant_id = t.id and m.user_id = old.user_id;
  return null;
end
$$;
comment on function tenancy.on_organization_member_removed() is
  'Who leaves the organization leaves its tenants.';
create trigger on_organization_member_removed after delete on tenancy.organization_members
  for each row execute function tenancy.on_organization_member_removed();

create function tenancy.on_role_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'UPDATE' and (new.name, new.organization_id) is not distinct from (old.name, old.organization_id) then
    return new;
  elsif tg_op = 'UPDATE' or old.organization_id is null then
    raise exception using errcode = 'object_not_in_prerequisite_state',
      message = 'a role keeps its name, and built-in roles stay';
  -- of a deleted organization everything goes, in any order
  elsif exists (select from tenancy.organizations o where o.id = old.organization_id) and (
      exists (select from tenancy.organization_members m where m.organization_id = old.organization_id and m.role = old.name)
      or exists (select from tenancy.tenants t join tenancy.memberships m on m.tenant_id = t.id
        where t.organization_id = old.organization_id and m.role = old.name)) then
    raise exception using errcode = 'foreign_key_violation', constraint = 'roles_name_in_use',
      message = format('the role "%s" has members', old.name);
  end if;
  return old;
end
$$;
comment on function tenancy.on_role_changed() is 'Refuses renaming a role and deleting one that has members.';
create trigger on_role_changed before update or delete on tenancy.roles
  for each row execute function tenancy.on_role_changed();

-- Times follow the status, whoever changes it.
create function tenancy.on_status_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  new.updated_at := clock_timestamp();
  if new.status in ('deleted', 'erased') then
    new.deleted_at := coalesce(old.deleted_at, clock_timestamp());
    new.deleted_from := coalesce(old.deleted_from, old.status);
    return new;
  end if;
  new.deleted_at := null;
  new.deleted_from := null;
  if new.status = 'suspended' then
    new.suspended_at := coalesce(old.suspended_at, clock_timestamp());
  else
    new.suspended_at := null;
    new.suspension_reason := null;
  end if;
  return new;
end
$$;
comment on function tenancy.on_status_changed() is 'Keeps the times of suspension and deletion true to the status.';
create trigger on_status_changed before update of status on tenancy.organizations
  for each row when (old.status <> new.status) execute function tenancy.on_status_changed();
create trigger on_status_changed before update of status on tenancy.tenants
  for each row when (old.status <> new.status) execute function tenancy.on_status_changed();

create function tenancy.refuse_move() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  raise exception using errcode = 'object_not_in_prerequisite_state',
    message = 'a tenant stays in its organization', detail = 'Members and roles of the other one would be missing.';
end
$$;
comment on function tenancy.refuse_move() is 'A tenant stays in its organization.';
create trigger refuse_move before update of organization_id on tenancy.tenants
  for each row when (old.organization_id <> new.organization_id) execute function tenancy.refuse_move();
