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

create or replace function auth.audit_session() returns trigger
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

-- Ends sessions that were not used for ages[1] seconds, with their refresh tokens; at most 1000 in one call.
create function auth.end_idle_sessions(ages double precision[]) returns bigint
language plpgsql set search_path = '' as $$
declare
  removed bigint;
begin
  delete from auth.sessions where id = any (array(
    select s.id from auth.sessions s
    where coalesce(s.refreshed_at, s.created_at) < clock_timestamp() - make_interval(secs => ages[1]) limit 1000));
  get diagnostics removed = row_count;
  return removed;
end
$$;
comment on function auth.end_idle_sessions(double precision[]) is
  'Ends sessions that were not used for so many seconds, 1000 in one call; returns how many.';
