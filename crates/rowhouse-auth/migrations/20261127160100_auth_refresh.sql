-- Refresh by a counter in the session: the token carries it under a signature, so no row is kept for each refresh. One
-- function decides and changes the session in one round trip. auth.refresh_tokens serves tokens of before.
alter table auth.sessions add column rotated_at timestamptz;
comment on column auth.sessions.rotated_at is 'when the counter of its refresh tokens was increased last';
comment on column auth.sessions.refresh_token_counter is
  'counter of the current refresh token; null while the session has tokens in auth.refresh_tokens only';
comment on table auth.refresh_tokens is
  'refresh tokens of before the counter, also those of an imported database; each is exchanged for one with a counter';
comment on column auth.refresh_tokens.token is 'digest of the token, or the token of an imported database';
comment on column auth.refresh_tokens.parent is 'the same of the token that it replaced';

create table auth.refresh_keys (
  id boolean not null default true,
  -- sealed with [auth] key_secret
  sealed bytea not null,
  created_at timestamptz not null,
  constraint refresh_keys_pkey primary key (id),
  constraint refresh_keys_id_check check (id)
);
comment on table auth.refresh_keys is 'One row: the key that signs refresh tokens.';
comment on column auth.refresh_keys.id is 'True; there is one row.';
comment on column auth.refresh_keys.sealed is 'The key, sealed with auth.key_secret.';
comment on column auth.refresh_keys.created_at is 'When it was generated.';
alter table auth.refresh_keys enable row level security;
alter table auth.refresh_keys force row level security;
create policy owner_all on auth.refresh_keys to rowhouse_owner using (true) with check (true);

-- rowhouse-auth/src/rotation.rs decides the same in Rust.
create function auth.judge_counter(
  current bigint, presented bigint, rotated_at timestamptz, reusable_after timestamptz
) returns text
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  return case
    when presented = current then 'rotated'
    when presented = current - 1 then 'parent_of_active'
    when presented < current and rotated_at >= reusable_after then 'within_interval'
    when presented < current then 'reused'
    else 'unknown'
  end;
end
$$;
comment on function auth.judge_counter(bigint, bigint, timestamptz, timestamptz) is
  'What becomes of a refresh token with this counter while the session''s is another one.';
revoke execute on function auth.judge_counter(bigint, bigint, timestamptz, timestamptz) from public;

-- Bounds that are null hold for no session.
create function auth.session_end(
  s auth.sessions, at timestamptz, opened_after timestamptz, opened_after_low_aal timestamptz, used_after timestamptz,
  is_single boolean
) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return case
    when s.not_after <= at or s.created_at <= opened_after then 'expired'
    when coalesce(s.refreshed_at, s.created_at) <= used_after then 'inactive'
    when s.created_at <= opened_after_low_aal and coalesce(s.aal, 'aal1') = 'aal1' and s.factor_id is null and exists (
      select from auth.mfa_factors f where f.user_id = s.user_id and f.status = 'verified') then 'low_aal'
    when is_single and s.oauth_client_id is null and s.impersonation_id is null and exists (
      select from auth.sessions n
      where n.user_id = s.user_id and n.oauth_client_id is null and n.impersonation_id is null
        and n.created_at > s.created_at
        and (n.not_after is null or n.not_after > at)) then 'superseded'
  end;
end
$$;
comment on function auth.session_end(auth.sessions, timestamptz, timestamptz, timestamptz, timestamptz, boolean) is
  'Why a session is over; null while it is not.';
revoke execute on function auth.session_end(auth.sessions, timestamptz, timestamptz, timestamptz, timestamptz, boolean)
  from public;

-- The outcome of a refresh, with what the new tokens need. The session is not locked to be read: the update names the
-- counter that was read, and if another refresh was faster, the second look sees its counter.
create function auth.refresh_session(
  session uuid, presented bigint, at timestamptz, reusable_after timestamptz, opened_after timestamptz,
  opened_after_low_aal timestamptz, used_after timestamptz, is_single boolean, agent text, address inet
) returns table (
  outcome text, counter bigint, user_id uuid, created_at timestamptz, not_after timestamptz, aal text, amr jsonb,
  tenant_id uuid, organization_id uuid, tenant_role text, impersonator uuid, impersonation_id uuid
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  s auth.sessions;
  banned_until timestamptz;
  -- A repetition writes at most once a minute, so that a storm of them is only read.
  touched_after constant timestamptz := at - interval '1 minute';
begin
  for attempt in 1..2 loop
    select t.* into s from auth.sessions t where t.id = session;
    select u.banned_until into banned_until from auth.users u where u.id = s.user_id and u.deleted_at is null;
    outcome := case when found then auth.judge_counter(s.refresh_token_counter, presented, s.rotated_at, reusable_after)
      else 'unknown' end;
    exit when outcome = 'unknown' or (outcome = 'reused' and (s.not_after is null or s.not_after > at));
    outcome := coalesce(case when banned_until > at then 'banned' end,
      auth.session_end(s, at, opened_after, opened_after_low_aal, used_after, is_single), outcome);
    exit when outcome not in ('rotated', 'parent_of_active', 'within_interval');
    select m.tenant_id, m.organization_id, m.role into tenant_id, organization_id, tenant_role
    from auth.membership_of(s.user_id, s.tenant_id, s.oauth_client_id) m;
    if s.only_tenant_id is not null and s.only_tenant_id is distinct from tenant_id then
      outcome := 'expired';
      exit;
    end if;
    exit when outcome <> 'rotated' and coalesce(s.refreshed_at, s.created_at) > touched_after
      and s.tenant_id is not distinct from tenant_id;
    update auth.sessions t set
      refresh_token_counter = presented + case when outcome = 'rotated' then 1 else s.refresh_token_counter - presented end,
      rotated_at = case when outcome = 'rotated' then at else t.rotated_at end,
      refreshed_at = at, updated_at = at, tenant_id = refresh_session.tenant_id,
      user_agent = coalesce(agent, t.user_agent), ip = coalesce(address, t.ip)
    where t.id = session and t.refresh_token_counter = s.refresh_token_counter
      and t.not_after is not distinct from s.not_after
    returning t.* into s;
    exit when found;
  end loop;
  counter := s.refresh_token_counter;
  user_id := s.user_id;
  created_at := coalesce(s.created_at, at);
  not_after := nullif(s.not_after, 'infinity');
  aal := coalesce(s.aal, 'aal1');
  impersonator := s.impersonator;
  impersonation_id := s.impersonation_id;
  amr := auth.amr_of(session);
  return next;
end
$$;
comment on function auth.refresh_session(
  uuid, bigint, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz, boolean, text, inet) is
  'Exchanges a refresh token whose signature has been checked; returns one row, whose outcome tells what was done.';
revoke execute on function auth.refresh_session(
  uuid, bigint, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz, boolean, text, inet) from public;

create function auth.amr_of(session uuid) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return coalesce((
    select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('method', a.authentication_method,
      'timestamp', floor(extract(epoch from a.updated_at))::bigint, 'provider', a.provider)) order by a.updated_at desc, a.id desc)
    from auth.mfa_amr_claims a where a.session_id = session), '[]');
end
$$;
comment on function auth.amr_of(uuid) is 'How a session was authenticated, as the claim amr has it.';
revoke execute on function auth.amr_of(uuid) from public;

-- Opens a session in the user's default tenant. Deletes the user's sessions beyond the bound: ended ones first, then
-- those that were not used for the longest time. Sessions of applications have a bound of their own.
create function auth.open_session(
  session uuid, member uuid, at timestamptz, agent text, address inet, others bigint, claim uuid, method text, provider text
) returns table (
  id uuid, user_id uuid, created_at timestamptz, not_after timestamptz, aal text, amr jsonb, refresh_token_counter bigint,
  rotated_at timestamptz, tenant_id uuid, organization_id uuid, tenant_role text, impersonator uuid, impersonation_id uuid
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  delete from auth.sessions where id = any (array(
    select s.id from auth.sessions s where s.user_id = member and s.oauth_client_id is null and s.impersonation_id is null
    order by s.not_after is null or s.not_after > at desc, coalesce(s.refreshed_at, s.created_at) desc
    offset others limit 100));
  select m.tenant_id, m.organization_id, m.role into tenant_id, organization_id, tenant_role
  from auth.membership_of(member, null) m;
  insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip, tenant_id, refresh_token_counter, rotated_at)
  values (session, member, at, at, 'aal1', agent, address, open_session.tenant_id, 1, at);
  insert into auth.mfa_amr_claims (id, session_id, authentication_method, provider, created_at, updated_at)
  values (claim, session, method, provider, at, at);
  update auth.identities i set last_sign_in_at = at, updated_at = at
  where i.user_id = member and i.provider = coalesce(open_session.provider, 'email');
  return query select session, member, at, null::timestamptz, 'aal1', auth.amr_of(session), 1::bigint, at,
    open_session.tenant_id, open_session.organization_id, open_session.tenant_role, null::uuid, null::uuid;
end
$$;
comment on function auth.open_session(uuid, uuid, timestamptz, text, inet, bigint, uuid, text, text) is
  'Opens a session of a user whose credentials have been checked; returns it with its tenant.';
revoke execute on function auth.open_session(uuid, uuid, timestamptz, text, inet, bigint, uuid, text, text) from public;
