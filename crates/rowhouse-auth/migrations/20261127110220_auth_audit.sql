-- The audit log of accounts: entries in audit.entries, written by triggers, so that an entry and its change are one
-- transaction, whoever made it. Token refreshes leave no entry: they would be most of the entries.

-- GoTrue's table, for existing queries.
create view auth.audit_log_entries as
select null::uuid as instance_id, e.id,
  json_strip_nulls(json_build_object(
    'action', e.action, 'log_type', e.details ->> 'log_type',
    'actor_id', coalesce(e.details ->> 'actor_id', substring(e.actor from '^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$')),
    'actor_username', coalesce(e.details ->> 'actor_username',
      case when e.actor in ('anon', 'service_role', 'supabase_admin') then e.actor end),
    'user_agent', e.user_agent, 'request_id', e.request_id, 'traits', e.details -> 'traits')) as payload,
  e.occurred_at as created_at, coalesce(host(e.address), '')::varchar(64) as ip_address
from audit.entries e
where e.source = 'auth' and e.target_kind = 'user';
comment on view auth.audit_log_entries is 'The audit log of accounts in GoTrue''s columns: a view of audit.entries.';

-- Names only: what was changed to what may be a secret of the user.
create function auth.changed_fields(before auth.users, after auth.users) returns text[]
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select array_remove(array[
    case when after.email is distinct from before.email then 'email' end,
    case when after.phone is distinct from before.phone then 'phone' end,
    case when nullif(after.email_change, '') is distinct from nullif(before.email_change, '')
      and after.email_change <> '' then 'new_email' end,
    case when nullif(after.phone_change, '') is distinct from nullif(before.phone_change, '')
      and after.phone_change <> '' then 'new_phone' end,
    case when after.role is distinct from before.role then 'role' end,
    case when after.raw_user_meta_data is distinct from before.raw_user_meta_data then 'user_metadata' end,
    case when after.raw_app_meta_data is distinct from before.raw_app_meta_data then 'app_metadata' end,
    case when after.banned_until is distinct from before.banned_until then 'banned_until' end], null)
$$;
comment on function auth.changed_fields(auth.users, auth.users) is 'Names of the fields of an account that differ, as clients know them.';
revoke execute on function auth.changed_fields(auth.users, auth.users) from public;

create function auth.audit_user() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  about constant auth.users := case tg_op when 'DELETE' then old else new end;
  changed constant text[] := auth.changed_fields(old, new);
  confirmed constant boolean := (old.email_confirmed_at is null and new.email_confirmed_at is not null)
    or (old.phone_confirmed_at is null and new.phone_confirmed_at is not null);
  actions text[] := '{}';
  action text;
  details jsonb;
begin
  if tg_op = 'INSERT' then
    actions := array[case when new.invited_at is null then 'user_signedup' else 'user_invited' end];
  elsif tg_op = 'DELETE' then
    actions := array['user_deleted'];
  elsif new.deleted_at is distinct from old.deleted_at then
    actions := array['user_deleted'];
  else
    -- A sign-in may rehash the password, which is not a change by the user.
    if new.encrypted_password is distinct from old.encrypted_password
      and new.last_sign_in_at is not distinct from old.last_sign_in_at then
      actions := actions || 'user_updated_password'::text;
    end if;
    if confirmed then
      actions := actions || case when old.invited_at is null then 'user_confirmed' else 'invite_accepted' end;
    end if;
    -- A confirmation is noted in the metadata, too.
    if cardinality(changed) > 0 and not (confirmed and changed = array['user_metadata']) then
      actions := actions || 'user_modified'::text;
    end if;
  end if;
  foreach action in array actions loop
    details := jsonb_build_object(
      'log_type', case when action in ('user_updated_password', 'user_modified', 'user_confirmed') then 'user'
        when action = 'invite_accepted' then 'account' else 'team' end,
      'traits', jsonb_strip_nulls(jsonb_build_object('user_id', about.id, 'user_email', about.email,
        'user_phone', about.phone, 'changed', case when action = 'user_modified' then to_jsonb(changed) end)));
    -- What users can do without end. A flood of it must not hide a change of the address, which has limits of its own.
    if action = 'user_updated_password' or (action = 'user_modified' and changed = array['user_metadata']) then
      perform auth.audit_repeated(action, about.id, details);
    else
      perform audit.write('auth', action, 'user', about.id::text, details);
    end if;
  end loop;
  return null;
end
$$;

-- What repeats itself leaves a bounded number of entries: somebody who signs in again and again, or guesses passwords,
-- must not grow the audit log without end. Each action has its own bound, so that a flood of one does not hide another.

-- Writes an entry about an account, unless it had a hundred of this action within the hour: then once, that more are left
-- out.
create function auth.audit_repeated(
  action text, about uuid, details jsonb, tenant_id uuid default null, address inet default null
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  most constant int := 100;
  since constant timestamptz := clock_timestamp() - interval '1 hour';
  written constant int := (select count(*) from (
    select from audit.entries e
    where e.target_kind = 'user' and e.target_id = about::text and e.occurred_at > since
      and e.source = 'auth' and e.action = audit_repeated.action
    limit most) recent);
begin
  if written < most then
    perform audit.write('auth', action, 'user', about::text, details, tenant_id, address);
  elsif not exists (
    select from audit.entries e
    where e.target_kind = 'user' and e.target_id = about::text and e.occurred_at > since
      and e.source = 'auth' and e.action = 'entries_left_out' and e.details ->> 'action' = audit_repeated.action) then
    perform audit.write('auth', 'entries_left_out', 'user', about::text, details || jsonb_build_object('action', action),
      tenant_id, address);
  end if;
end
$$;
comment on function auth.audit_repeated(text, uuid, jsonb, uuid, inet) is
  'Writes an entry about an account, at most a hundred of one action within an hour; then one that says that more are left out.';
revoke execute on function auth.audit_repeated(text, uuid, jsonb, uuid, inet) from public;

create function auth.audit_session() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  about constant auth.sessions := case tg_op when 'DELETE' then old else new end;
  email constant text := (select u.email from auth.users u where u.id = about.user_id);
  action constant text := case tg_op when 'INSERT' then 'login' when 'DELETE' then 'logout' else 'token_revoked' end;
begin
  -- Sessions that were over, and those of a deleted user, end no more.
  if tg_op = 'DELETE' and (old.not_after < clock_timestamp()
    or not exists (select from auth.users u where u.id = old.user_id)) then
    return null;
  end if;
  perform auth.audit_repeated(action, about.user_id,
    jsonb_strip_nulls(jsonb_build_object(
      'log_type', case when action = 'token_revoked' then 'token' else 'account' end,
      'actor_id', case when action = 'login' then about.user_id end,
      'actor_username', case when action = 'login' then email end,
      'traits', jsonb_build_object('user_id', about.user_id, 'user_email', email, 'session_id', about.id))),
    about.tenant_id, about.ip);
  return null;
end
$$;

-- Wrong passwords are counted, not written down one by one; the lock that ends a row of them is.
create function auth.audit_lock() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform auth.audit_repeated('user_locked', new.user_id, jsonb_build_object(
    'log_type', 'account', 'locked_until', new.locked_until, 'network', new.network,
    'traits', jsonb_build_object('user_id', new.user_id,
      'user_email', (select u.email from auth.users u where u.id = new.user_id))));
  return null;
end
$$;
comment on function auth.audit_lock() is 'Writes down that too many wrong passwords have locked an account.';
create trigger audited_lock after update of locked_until on auth.signin_failures for each row
  when (new.user_id is not null and new.locked_until is distinct from old.locked_until and new.locked_until is not null)
  execute function auth.audit_lock();

create trigger audited after insert or delete or update of
  encrypted_password, email, phone, email_change, phone_change, email_confirmed_at, phone_confirmed_at, role,
  raw_user_meta_data, raw_app_meta_data, banned_until, deleted_at
  on auth.users for each row execute function auth.audit_user();
create trigger audited after insert or delete on auth.sessions for each row execute function auth.audit_session();
-- The reuse of a refresh token ends its session this way.
create trigger audited_end after update of not_after on auth.sessions for each row
  when (new.not_after < coalesce(old.not_after, 'infinity'))
  execute function auth.audit_session();
