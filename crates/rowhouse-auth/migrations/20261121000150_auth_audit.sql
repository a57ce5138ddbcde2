-- The audit log of accounts, in the table that Supabase users' SQL reads. Written by triggers, so that an entry and
-- its change are one transaction, whoever made it. Token refreshes leave no entry: they would be most of the entries.
create table auth.audit_log_entries (
  instance_id uuid,
  id uuid not null default gen_random_uuid(),
  -- action and log_type as GoTrue names them; traits says whose account; actor_id and actor_username where that is known
  payload json not null,
  created_at timestamptz not null default clock_timestamp(),
  ip_address varchar(64) not null default '',
  constraint audit_log_entries_pkey primary key (id)
);
create index audit_log_entries_created_at_idx on auth.audit_log_entries (created_at);
alter table auth.audit_log_entries enable row level security;
alter table auth.audit_log_entries force row level security;
-- No policy for updates: entries are immutable until they are pruned.
create policy owner_select on auth.audit_log_entries for select to rowhouse_owner using (true);
create policy owner_insert on auth.audit_log_entries for insert to rowhouse_owner with check (true);
create policy owner_delete on auth.audit_log_entries for delete to rowhouse_owner using (true);

create function auth.audit_user() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  about constant auth.users := case tg_op when 'DELETE' then old else new end;
  actions text[] := '{}';
  action text;
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
    if (new.email, new.phone, new.role, new.raw_user_meta_data, new.raw_app_meta_data, new.banned_until)
      is distinct from (old.email, old.phone, old.role, old.raw_user_meta_data, old.raw_app_meta_data, old.banned_until) then
      actions := actions || 'user_modified'::text;
    end if;
  end if;
  foreach action in array actions loop
    insert into auth.audit_log_entries (payload)
    values (json_build_object(
      'action', action, 'log_type', case when action = 'user_updated_password' then 'user' else 'team' end,
      'traits', json_build_object('user_id', about.id, 'user_email', about.email)));
  end loop;
  return null;
end
$$;

create function auth.audit_session() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  about constant auth.sessions := case tg_op when 'DELETE' then old else new end;
  email constant text := (select u.email from auth.users u where u.id = about.user_id);
  action constant text := case tg_op when 'INSERT' then 'login' when 'DELETE' then 'logout' else 'token_revoked' end;
begin
  -- Expired sessions and those of a deleted user are no sign-out.
  if tg_op = 'DELETE' and (old.not_after < clock_timestamp()
    or not exists (select from auth.users u where u.id = old.user_id)) then
    return null;
  end if;
  insert into auth.audit_log_entries (payload, ip_address)
  values (json_strip_nulls(json_build_object(
    'action', action, 'log_type', case when action = 'token_revoked' then 'token' else 'account' end,
    'actor_id', case when action = 'login' then about.user_id end,
    'actor_username', case when action = 'login' then email end,
    'traits', json_build_object('user_id', about.user_id, 'user_email', email, 'session_id', about.id))),
    coalesce(host(about.ip), ''));
  return null;
end
$$;

create trigger audited after insert or delete or update of
  encrypted_password, email, phone, role, raw_user_meta_data, raw_app_meta_data, banned_until, deleted_at
  on auth.users for each row execute function auth.audit_user();
create trigger audited after insert or delete on auth.sessions for each row execute function auth.audit_session();
-- The reuse of a refresh token ends its session this way.
create trigger audited_end after update of not_after on auth.sessions for each row
  when (new.not_after < coalesce(old.not_after, 'infinity'))
  execute function auth.audit_session();
