-- The audit log moves to audit.entries, which is append-only; auth.audit_log_entries becomes a view with GoTrue's
-- columns, for existing queries.

insert into audit.entries (id, occurred_at, source, action, actor, target_kind, target_id, address, details)
select e.id, e.created_at, 'auth', coalesce(left(nullif(e.payload ->> 'action', ''), 100), 'unknown'),
  coalesce(e.payload ->> 'actor_id', 'unknown'), 'user', coalesce(e.payload -> 'traits' ->> 'user_id', ''),
  nullif(e.ip_address, '')::inet, (e.payload::jsonb) - 'action'
from auth.audit_log_entries e;
drop table auth.audit_log_entries;

create view auth.audit_log_entries as
select null::uuid as instance_id, e.id,
  json_strip_nulls(json_build_object(
    'action', e.action, 'log_type', e.details ->> 'log_type',
    'actor_id', coalesce(e.details ->> 'actor_id', substring(e.actor from '^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$')),
    'actor_username', e.details ->> 'actor_username', 'traits', e.details -> 'traits')) as payload,
  e.occurred_at as created_at, coalesce(host(e.address), '')::varchar(64) as ip_address
from audit.entries e
where e.source = 'auth' and e.target_kind = 'user';
comment on view auth.audit_log_entries is 'The audit log of accounts in GoTrue''s columns: a view of audit.entries.';

create or replace function auth.audit_user() returns trigger
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
    perform audit.write('auth', action, 'user', about.id::text, jsonb_build_object(
      'log_type', case when action = 'user_updated_password' then 'user' else 'team' end,
      'traits', jsonb_build_object('user_id', about.id, 'user_email', about.email)));
  end loop;
  return null;
end
$$;

create or replace function auth.audit_session() returns trigger
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
  perform audit.write('auth', action, 'user', about.user_id::text,
    jsonb_strip_nulls(jsonb_build_object(
      'log_type', case when action = 'token_revoked' then 'token' else 'account' end,
      'actor_id', case when action = 'login' then about.user_id end,
      'actor_username', case when action = 'login' then email end,
      'traits', jsonb_build_object('user_id', about.user_id, 'user_email', email, 'session_id', about.id))),
    about.tenant_id, about.ip);
  return null;
end
$$;

-- Entries of accounts that are older than ages[1] seconds.
create function auth.prune_audit(ages double precision[]) returns bigint
language sql set search_path = pg_catalog, pg_temp as $$
  select audit.prune('auth', make_interval(secs => ages[1]))
$$;
