-- Erasing a user: the row of auth.users stays as a skeleton, to which rows of products and the audit log refer.

create function operators.orphaned_by(p_user uuid) returns table (organization_id uuid, slug text, has_others boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select o.id, o.slug, exists (
    select from tenancy.organization_members c where c.organization_id = o.id and c.user_id <> p_user)
  from tenancy.organization_members m
  join tenancy.organizations o on o.id = m.organization_id and o.deleted_at is null
  where m.user_id = p_user and m.role = 'owner' and not exists (
    select from tenancy.organization_members c
    where c.organization_id = o.id and c.user_id <> p_user and c.role = 'owner' and c.status = 'active')
  order by o.slug
$$;
comment on function operators.orphaned_by(uuid) is
  'Organizations that would have no active owner without a user, and whether they have other members.';

-- What deleting the user would delete in tables of the platform; the profile stays, without content.
create function operators.erase_platform_rows(p_user uuid, p_is_dry boolean) returns table (name text, count bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  one record;
begin
  for one in
    select * from operators.columns_of_users() c
    where not c.of_project and c.is_cascading and c.target <> 'tenancy.user_profiles'::regclass
  loop
    name := one.full_name;
    execute format('select count(*) from %s where %I = $1', one.target, one.column_name) into count using p_user;
    if count > 0 and not p_is_dry then
      execute format('delete from %s where %I = $1', one.target, one.column_name) using p_user;
    end if;
    if count > 0 then
      return next;
    end if;
  end loop;
end
$$;
comment on function operators.erase_platform_rows(uuid, boolean) is
  'Deletes what belongs to a user in tables of the platform, or only counts it.';

create function operators.erase_mail(p_email text, p_is_dry boolean) returns table (name text, count bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  mine bigint[] := array(select r.id from mail.recipients r where lower(r.address) = lower(p_email));
begin
  name := 'mail.recipients';
  count := cardinality(mine);
  if count > 0 then
    return next;
  end if;
  name := 'tenancy.invitations';
  select count(*) into count from tenancy.invitations i where i.email = lower(p_email);
  if count > 0 then
    return next;
  end if;
  if p_is_dry then
    return;
  end if;
  -- a message to others, too, stays theirs
  delete from mail.messages m where m.id in (select r.message from mail.recipients r where r.id = any (mine))
    and not exists (select from mail.recipients o where o.message = m.id and o.id <> all (mine));
  delete from mail.recipients r where r.id = any (mine);
  delete from mail.suppressions s where s.address = lower(p_email);
  delete from tenancy.invitations i where i.email = lower(p_email);
end
$$;
comment on function operators.erase_mail(text, boolean) is
  'Deletes mails and invitations to an address, or only counts them.';

create function operators.empty_account(p_user uuid) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update tenancy.user_profiles p set full_name = null, is_active = false, last_login = null,
    deactivated_at = coalesce(p.deactivated_at, clock_timestamp()), deactivation_reason = 'erased', updated_at = clock_timestamp()
  where p.user_id = p_user;
  update auth.users u set email = null, phone = null, email_change = '', phone_change = '', encrypted_password = '',
    raw_user_meta_data = '{}', raw_app_meta_data = '{}', email_confirmed_at = null, phone_confirmed_at = null, last_sign_in_at = null,
    confirmation_token = '', recovery_token = '', email_change_token_new = '', email_change_token_current = '',
    phone_change_token = '', reauthentication_token = '', deleted_at = coalesce(u.deleted_at, clock_timestamp()),
    updated_at = clock_timestamp()
  where u.id = p_user;
end
$$;
comment on function operators.empty_account(uuid) is 'Takes everything personal out of an account and its profile.';

-- Organizations of nobody else are deleted with their owner, and erased when their time comes; one that has other members keeps an
-- owner. They are locked, so that of two owners who go at the same time one stays.
create function operators.delete_orphans(p_user uuid, p_why text, p_is_dry boolean) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  orphan record;
  deleted bigint := 0;
begin
  perform from tenancy.organizations o where o.id in (
    select m.organization_id from tenancy.organization_members m where m.user_id = p_user and m.role = 'owner')
  order by o.id for no key update;
  for orphan in select * from operators.orphaned_by(p_user) loop
    if orphan.has_others then
      raise exception using errcode = 'object_not_in_prerequisite_state',
        message = format('the user is the last active owner of the organization "%s"; make another member owner first', orphan.slug);
    elsif not p_is_dry then
      update tenancy.organizations o set status = 'deleted' where o.id = orphan.organization_id;
      perform tenancy.note_step('organization', 'deleted', orphan.organization_id, orphan.organization_id,
        jsonb_build_object('reason', p_why));
    end if;
    deleted := deleted + 1;
  end loop;
  return deleted;
end
$$;
comment on function operators.delete_orphans(uuid, text, boolean) is
  'Deletes the organizations that have a user alone, or only counts them; an error if another one would lose its last owner.';

create function operators.erase_user(p_user uuid, p_reason text, p_is_dry boolean) returns table (name text, count bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_email text;
begin
  perform audit.keep_origin();
  select u.email into v_email from auth.users u where u.id = p_user for no key update;
  if not found then
    raise exception using errcode = 'no_data_found', message = 'there is no such user';
  end if;
  name := 'tenancy.organizations';
  count := operators.delete_orphans(p_user, 'owner_erased', p_is_dry);
  if count > 0 then
    return next;
  end if;
  return query select * from operators.erase_mail(v_email, p_is_dry);
  return query select * from operators.erase_platform_rows(p_user, p_is_dry);
  if p_is_dry then
    return;
  end if;
  perform operators.empty_account(p_user);
  insert into operators.erasures (user_id, reason) values (p_user, p_reason) on conflict do nothing;
  perform audit.write('operators', 'user_erased', 'user', p_user::text, jsonb_build_object('reason', p_reason));
  perform events.emit('operators.user_erased', jsonb_build_object('user_id', p_user));
end
$$;
comment on function operators.erase_user(uuid, text, boolean) is
  'Erases a user, or only counts what that would delete. Rows of the project''s tables stay; the event operators.user_erased tells it.';
revoke execute on function operators.orphaned_by(uuid), operators.delete_orphans(uuid, text, boolean),
  operators.erase_platform_rows(uuid, boolean),
  operators.erase_mail(text, boolean), operators.empty_account(uuid), operators.erase_user(uuid, text, boolean) from public;
