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
create function operators.audit(p_action text, p_user uuid, p_details jsonb, p_internal jsonb default null) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  with member as (
    select m.organization_id from tenancy.organization_members m where m.user_id = p_user order by m.organization_id limit 100),
  place as (
    select member.organization_id, p_internal is null as is_whole from member
    union all
    select null, true where p_internal is not null or not exists (select from member)),
  known as (
    select coalesce(
      (select o.origin from audit.origins o
       where o.transaction_id = pg_current_xact_id_if_assigned() and o.began_at = transaction_timestamp()),
      audit.origin()) as origin)
  insert into audit.entries (source, action, actor, impersonator, operation, request_id, organization_id, target_kind, target_id,
    address, user_agent, details)
  select 'operator', p_action, k.origin ->> 'actor', (k.origin ->> 'impersonator')::uuid, k.origin ->> 'operation',
    k.origin ->> 'request_id', p.organization_id, 'user', p_user::text,
    case when p.is_whole then (k.origin ->> 'address')::inet end, case when p.is_whole then left(k.origin ->> 'user_agent', 512) end,
    case when p.is_whole then p_details || coalesce(p_internal, '{}') else p_details end
  from place p cross join known k
$$;
comment on function operators.audit(text, uuid, jsonb, jsonb) is
  'Writes what was done to a user into the audit log of each of their organizations, and what is internal into an entry without.';
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

create function operators.end_sessions(p_user uuid) returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  ended int;
begin
  delete from auth.flow_state f where f.linking_target_id = p_user or f.user_id = p_user;
  delete from auth.oauth_authorizations a where a.user_id = p_user and a.consumed_at is null;
  delete from auth.sessions s where s.user_id = p_user;
  get diagnostics ended = row_count;
  return ended;
end
$$;
comment on function operators.end_sessions(uuid) is 'Ends every session of a user and what they have begun; returns how many sessions there were.';
revoke execute on function operators.end_sessions(uuid) from public;

create function operators.suspend(p_user uuid, p_reason text, p_actor text) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  refused constant text := operators.refusal(p_user, p_actor);
  is_closed boolean;
  ended int;
begin
  select coalesce(u.banned_until = 'infinity', false) and exists (select from operators.suspensions s where s.user_id = p_user)
  into is_closed from auth.users u where u.id = p_user and u.deleted_at is null for no key update;
  if not found then
    return 'missing';
  elsif refused is not null then
    return refused;
  end if;
  ended := operators.end_sessions(p_user);
  if is_closed and ended = 0 then
    return 'unchanged';
  end if;
  update auth.users u set banned_until = 'infinity', updated_at = now() where u.id = p_user;
  insert into operators.suspensions (user_id, reason, suspended_by) values (p_user, p_reason, p_actor)
  on conflict (user_id) do update set reason = excluded.reason, suspended_by = excluded.suspended_by, suspended_at = now();
  perform operators.audit('user_suspended', p_user, jsonb_build_object('sessions', ended),
    jsonb_build_object('reason', p_reason));
  return 'done';
end
$$;
comment on function operators.suspend(uuid, text, text) is
  'Closes an account and ends its sessions: done, unchanged, or why not (missing, self, operator).';
revoke execute on function operators.suspend(uuid, text, text) from public;

-- Lifts bans of other origin, too: there is one mechanism.
create function operators.reactivate(p_user uuid, p_reason text, p_actor text) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  refused constant text := operators.refusal(p_user, p_actor);
  is_closed boolean;
  ended int;
begin
  select u.banned_until is not null into is_closed from auth.users u
  where u.id = p_user and u.deleted_at is null for no key update;
  if not found then
    return 'missing';
  elsif refused is not null then
    return refused;
  elsif not is_closed then
    return 'unchanged';
  end if;
  -- A sign-in that was under way when the account was closed has left a session.
  ended := operators.end_sessions(p_user);
  update auth.users u set banned_until = null, updated_at = now() where u.id = p_user;
  delete from operators.suspensions s where s.user_id = p_user;
  perform operators.audit('user_reactivated', p_user, jsonb_build_object('sessions', ended),
    jsonb_strip_nulls(jsonb_build_object('reason', p_reason)));
  return 'done';
end
$$;
comment on function operators.reactivate(uuid, text, text) is
  'Opens an account again: done, unchanged, or why not (missing, self, operator).';
revoke execute on function operators.reactivate(uuid, text, text) from public;
