-- Finding users, and closing accounts at once. An account is closed by auth.users.banned_until, which every surface looks at;
-- the table here says who closed it, and why.
create table operators.suspensions (
  user_id uuid not null references auth.users (id) on delete cascade,
  reason text not null check (char_length(reason) between 1 and 500),
  suspended_by text not null check (length(suspended_by) between 1 and 255),
  suspended_at timestamptz not null default now(),
  constraint suspensions_pkey primary key (user_id)
);
comment on table operators.suspensions is
  'Why users are suspended. Counts only while auth.users.banned_until lies ahead: a ban can be lifted elsewhere, too.';
comment on column operators.suspensions.user_id is 'The user.';
comment on column operators.suspensions.reason is 'Why, for operators.';
comment on column operators.suspensions.suspended_by is 'Who did it, as in the audit log.';
comment on column operators.suspensions.suspended_at is 'Since when.';
alter table operators.suspensions enable row level security;
alter table operators.suspensions force row level security;
create policy owner_all on operators.suspensions to rowhouse_owner using (true) with check (true);

-- What users are searched by: the beginning of address and number, words of the name, suspension. No extension is needed.
create index users_email_prefix_idx on auth.users (lower(email) text_pattern_ops);
create index users_phone_prefix_idx on auth.users (phone text_pattern_ops) where phone is not null;
create index users_banned_until_idx on auth.users (banned_until) where banned_until is not null;
create index users_deleted_at_idx on auth.users (deleted_at) where deleted_at is not null;

create function operators.words(metadata jsonb) returns tsvector
language sql immutable strict parallel safe
return to_tsvector('pg_catalog.simple'::regconfig, left(coalesce(metadata ->> 'full_name', metadata ->> 'name', ''), 200));
comment on function operators.words(jsonb) is 'The words of a user''s name, by which users are searched.';
create index users_words_idx on auth.users using gin (operators.words(raw_user_meta_data));

-- Entries about a user, one in each of the user's organizations: whoever acts for the installation is in none of them, and
-- their own tenant says nothing about the user. A user without organization has one entry without. What is internal, and with
-- it the operator's address, is only in an entry without organization.
create function operators.audit_all(p_action text, p_users uuid[], p_details jsonb[], p_internal jsonb) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  with person as (
    select p.id, p.details, p.number from unnest(p_users, p_details) with ordinality p (id, details, number)),
  place as (
    select p.*, o.organization_id, p_internal is null as is_whole from person p cross join lateral (
      select m.organization_id from tenancy.organization_members m where m.user_id = p.id order by m.organization_id limit 100) o
    union all
    select p.*, null, true from person p
    where p_internal is not null or not exists (select from tenancy.organization_members m where m.user_id = p.id)),
  known as (
    select coalesce(
      (select o.origin from audit.origins o
       where o.transaction_id = pg_current_xact_id_if_assigned() and o.began_at = transaction_timestamp()),
      audit.origin()) as origin)
  insert into audit.entries (source, action, actor, impersonator, operation, request_id, organization_id, target_kind, target_id,
    address, user_agent, details)
  select 'operator', p_action, k.origin ->> 'actor', (k.origin ->> 'impersonator')::uuid, k.origin ->> 'operation',
    k.origin ->> 'request_id', p.organization_id, 'user', p.id::text,
    case when p.is_whole then (k.origin ->> 'address')::inet end, case when p.is_whole then left(k.origin ->> 'user_agent', 512) end,
    case when p.is_whole then p.details || coalesce(p_internal, '{}') else p.details end
  from place p cross join known k
  order by p.number, p.organization_id
$$;
comment on function operators.audit_all(text, uuid[], jsonb[], jsonb) is
  'Writes what was done to users, with details of each, into the audit log of each of their organizations, and what is internal into an entry without.';
revoke execute on function operators.audit_all(text, uuid[], jsonb[], jsonb) from public;

create function operators.audit(p_action text, p_user uuid, p_details jsonb, p_internal jsonb default null) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  select operators.audit_all(p_action, array[p_user], array[p_details], p_internal)
$$;
comment on function operators.audit(text, uuid, jsonb, jsonb) is 'Writes what was done to one user, as audit_all does.';
revoke execute on function operators.audit(text, uuid, jsonb, jsonb) from public;

-- Nobody closes his own account this way, and operators are for super_admins and the service key to close.
create function operators.refusal(p_user uuid, p_actor text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case
    when p_actor = p_user::text then 'self'
    when tenancy.operator_role(p_user) is not null and p_actor ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
      and tenancy.operator_role(p_actor::uuid) is distinct from 'super_admin' then 'operator'
  end
$$;
comment on function operators.refusal(uuid, text) is 'Why an actor may not act on a user: self or operator; null if he may.';
revoke execute on function operators.refusal(uuid, text) from public;

create function operators.end_sessions(p_users uuid[]) returns table (user_id uuid, ended int)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  delete from auth.flow_state f where f.linking_target_id = any (p_users) or f.user_id = any (p_users);
  delete from auth.oauth_authorizations a where a.user_id = any (p_users) and a.consumed_at is null;
  delete from auth.one_time_tokens t where t.user_id = any (p_users);
  return query
    with gone as (delete from auth.sessions s where s.user_id = any (p_users) returning s.user_id)
    select p.id, (select count(*)::int from gone g where g.user_id = p.id) from unnest(p_users) p (id);
end
$$;
comment on function operators.end_sessions(uuid[]) is
  'Ends every session of these users and what they have begun; returns how many sessions each of them had.';
revoke execute on function operators.end_sessions(uuid[]) from public;

-- Accounts are closed and opened many at once, since the checks of the project's triggers cost the same for every statement on
-- auth.users. One order for all who lock, so that none waits for one that waits for it.
create function operators.judge(p_users uuid[], p_actor text) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  present constant uuid[] := array(
    select u.id from auth.users u where u.id = any (p_users) and u.deleted_at is null order by u.id for no key update);
begin
  return (select coalesce(jsonb_object_agg(p.id, case when p.id = any (present) then operators.refusal(p.id, p_actor) else 'missing' end), '{}')
    from unnest(p_users) p (id));
end
$$;
comment on function operators.judge(uuid[], text) is
  'Locks these users; by id, why an actor may not close or open an account (missing, self, operator), and null where he may.';
revoke execute on function operators.judge(uuid[], text) from public;

create function operators.outcomes(p_judged jsonb, p_changed uuid[]) returns table (user_id uuid, outcome text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select j.key::uuid, coalesce(j.value #>> '{}', case when j.key::uuid = any (p_changed) then 'done' else 'unchanged' end)
  from jsonb_each(p_judged) j
$$;
comment on function operators.outcomes(jsonb, uuid[]) is
  'What became of the users that were judged: done, unchanged, or why not (missing, self, operator).';
revoke execute on function operators.outcomes(jsonb, uuid[]) from public;

create function operators.suspend_all(p_users uuid[], p_reason text, p_actor text) returns table (user_id uuid, outcome text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  judged constant jsonb := operators.judge(p_users, p_actor);
  allowed constant uuid[] := array(select j.key::uuid from jsonb_each(judged) j where j.value = 'null' order by 1);
  changed uuid[];
  told jsonb[];
begin
  select coalesce(array_agg(e.user_id), '{}'), coalesce(array_agg(jsonb_build_object('sessions', e.ended)), '{}') into changed, told
  from operators.end_sessions(allowed) e
  where e.ended > 0 or not exists (
    select from auth.users u join operators.suspensions s on s.user_id = u.id
    where u.id = e.user_id and u.banned_until = 'infinity');
  update auth.users u set banned_until = 'infinity', updated_at = now() where u.id = any (changed);
  insert into operators.suspensions as s (user_id, reason, suspended_by) select c, p_reason, p_actor from unnest(changed) c
  on conflict on constraint suspensions_pkey
  do update set reason = excluded.reason, suspended_by = excluded.suspended_by, suspended_at = now();
  perform operators.audit_all('user_suspended', changed, told, jsonb_build_object('reason', p_reason));
  return query select * from operators.outcomes(judged, changed);
end
$$;
comment on function operators.suspend_all(uuid[], text, text) is
  'Closes accounts and ends their sessions; of each user: done, unchanged, or why not (missing, self, operator).';
revoke execute on function operators.suspend_all(uuid[], text, text) from public;

-- Lifts bans of other origin, too: there is one mechanism. A sign-in that was under way when the account was closed has left a
-- session.
create function operators.reactivate_all(p_users uuid[], p_reason text, p_actor text) returns table (user_id uuid, outcome text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  judged constant jsonb := operators.judge(p_users, p_actor);
  allowed constant uuid[] := array(select j.key::uuid from jsonb_each(judged) j where j.value = 'null');
  closed constant uuid[] := array(
    select u.id from auth.users u where u.id = any (allowed) and u.banned_until is not null order by u.id);
  told constant jsonb[] := array(select jsonb_build_object('sessions', e.ended) from operators.end_sessions(closed) e);
begin
  update auth.users u set banned_until = null, updated_at = now() where u.id = any (closed);
  delete from operators.suspensions s where s.user_id = any (closed);
  perform operators.audit_all('user_reactivated', closed, told, jsonb_strip_nulls(jsonb_build_object('reason', p_reason)));
  return query select * from operators.outcomes(judged, closed);
end
$$;
comment on function operators.reactivate_all(uuid[], text, text) is
  'Opens accounts again; of each user: done, unchanged, or why not (missing, self, operator).';
revoke execute on function operators.reactivate_all(uuid[], text, text) from public;

create function operators.suspend(p_user uuid, p_reason text, p_actor text) returns text
language sql set search_path = pg_catalog, pg_temp as $$
  select s.outcome from operators.suspend_all(array[p_user], p_reason, p_actor) s
$$;
comment on function operators.suspend(uuid, text, text) is 'Closes one account and ends its sessions, as suspend_all does.';
revoke execute on function operators.suspend(uuid, text, text) from public;

create function operators.reactivate(p_user uuid, p_reason text, p_actor text) returns text
language sql set search_path = pg_catalog, pg_temp as $$
  select s.outcome from operators.reactivate_all(array[p_user], p_reason, p_actor) s
$$;
comment on function operators.reactivate(uuid, text, text) is 'Opens one account again, as reactivate_all does.';
revoke execute on function operators.reactivate(uuid, text, text) from public;
