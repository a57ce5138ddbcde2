-- The authorization server (OAuth 2.1): applications, their requests for authorization, what users have agreed to. GoTrue's
-- tables, with additions marked "ours".

create type auth.oauth_registration_type as enum ('dynamic', 'manual');
create type auth.oauth_client_type as enum ('public', 'confidential');
create type auth.oauth_authorization_status as enum ('pending', 'approved', 'denied', 'expired');
create type auth.oauth_response_type as enum ('code');

create table auth.oauth_clients (
  id uuid not null,
  client_secret_hash text,
  registration_type auth.oauth_registration_type not null,
  redirect_uris text not null,
  grant_types text not null,
  client_name text,
  client_uri text,
  logo_uri text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  -- ours
  post_logout_redirect_uris text not null default '',
  client_type auth.oauth_client_type not null default 'confidential',
  token_endpoint_auth_method text not null,
  constraint oauth_clients_pkey primary key (id),
  constraint oauth_clients_client_name_check check (char_length(client_name) <= 1024),
  constraint oauth_clients_client_uri_check check (char_length(client_uri) <= 2048),
  constraint oauth_clients_logo_uri_check check (char_length(logo_uri) <= 2048),
  constraint oauth_clients_token_endpoint_auth_method_check
    check (token_endpoint_auth_method in ('client_secret_basic', 'client_secret_post', 'none'))
);
create index oauth_clients_created_at_idx on auth.oauth_clients (created_at desc) where deleted_at is null;
comment on table auth.oauth_clients is 'Applications that may sign people in with their accounts here (RFC 7591).';
comment on column auth.oauth_clients.id is 'client_id';
comment on column auth.oauth_clients.client_secret_hash is 'SHA-256 of the secret, base64url; null for a public client';
comment on column auth.oauth_clients.registration_type is 'manual by an administrator, dynamic by anybody';
comment on column auth.oauth_clients.redirect_uris is 'exact redirect URIs, separated by commas, which none of them has';
comment on column auth.oauth_clients.grant_types is 'authorization_code and refresh_token, separated by commas';
comment on column auth.oauth_clients.client_name is 'name that the consent page shows';
comment on column auth.oauth_clients.client_uri is 'home page';
comment on column auth.oauth_clients.logo_uri is 'logo';
comment on column auth.oauth_clients.created_at is 'registration';
comment on column auth.oauth_clients.updated_at is 'last change';
comment on column auth.oauth_clients.deleted_at is 'since when it is refused';
comment on column auth.oauth_clients.post_logout_redirect_uris is
  'exact URIs to which a sign-out may lead (OpenID Connect RP-Initiated Logout), separated by commas; empty: none';
comment on column auth.oauth_clients.client_type is 'whether it can keep a secret';
comment on column auth.oauth_clients.token_endpoint_auth_method is 'how it authenticates at the token endpoint';

create table auth.oauth_authorizations (
  id uuid not null,
  authorization_id text not null,
  client_id uuid not null,
  user_id uuid,
  redirect_uri text not null,
  scope text not null,
  state text,
  resource text,
  code_challenge text,
  code_challenge_method auth.code_challenge_method,
  response_type auth.oauth_response_type not null default 'code',
  status auth.oauth_authorization_status not null default 'pending',
  -- ours: the SHA-256 of the code
  authorization_code text,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '10 minutes',
  approved_at timestamptz,
  nonce text,
  -- ours
  authenticated_at timestamptz,
  -- ours
  factor_id uuid,
  -- ours
  consumed_at timestamptz,
  -- ours: without foreign key, since a session may end before the row is pruned
  session_id uuid,
  -- ours
  browser text,
  -- ours: without foreign key for the same reason
  approved_in uuid,
  constraint oauth_authorizations_pkey primary key (id),
  constraint oauth_authorizations_authorization_id_key unique (authorization_id),
  constraint oauth_authorizations_authorization_code_key unique (authorization_code),
  constraint oauth_authorizations_client_id_fkey
    foreign key (client_id) references auth.oauth_clients (id) on delete cascade,
  constraint oauth_authorizations_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
  constraint oauth_authorizations_redirect_uri_check check (char_length(redirect_uri) <= 2048),
  constraint oauth_authorizations_scope_check check (char_length(scope) <= 4096),
  constraint oauth_authorizations_state_check check (char_length(state) <= 4096),
  constraint oauth_authorizations_resource_check check (char_length(resource) <= 2048),
  constraint oauth_authorizations_code_challenge_check check (char_length(code_challenge) <= 128),
  constraint oauth_authorizations_authorization_code_check check (char_length(authorization_code) <= 255),
  constraint oauth_authorizations_nonce_check check (char_length(nonce) <= 255)
);
create index oauth_authorizations_browser_idx on auth.oauth_authorizations (browser) where consumed_at is null;
create index oauth_authorizations_expires_at_idx on auth.oauth_authorizations (expires_at);
create index oauth_authorizations_client_id_user_id_idx on auth.oauth_authorizations (client_id, user_id);
create index oauth_authorizations_user_id_idx on auth.oauth_authorizations (user_id);
comment on table auth.oauth_authorizations is 'Requests of applications for authorization, and the codes that they were answered with.';
comment on column auth.oauth_authorizations.id is 'key';
comment on column auth.oauth_authorizations.authorization_id is 'name of the request on the consent page';
comment on column auth.oauth_authorizations.client_id is 'application';
comment on column auth.oauth_authorizations.user_id is 'user who looked at the request first; only they decide';
comment on column auth.oauth_authorizations.redirect_uri is 'where the answer goes';
comment on column auth.oauth_authorizations.scope is 'what is asked for, separated by spaces';
comment on column auth.oauth_authorizations.state is 'the application''s, given back';
comment on column auth.oauth_authorizations.resource is 'resource indicator (RFC 8707)';
comment on column auth.oauth_authorizations.code_challenge is 'code challenge (RFC 7636)';
comment on column auth.oauth_authorizations.code_challenge_method is 's256';
comment on column auth.oauth_authorizations.response_type is 'code';
comment on column auth.oauth_authorizations.status is 'pending until the user decides';
comment on column auth.oauth_authorizations.authorization_code is 'SHA-256 of the code';
comment on column auth.oauth_authorizations.created_at is 'when it was asked for';
comment on column auth.oauth_authorizations.expires_at is 'until when it may be decided; once approved, until when the code is valid';
comment on column auth.oauth_authorizations.approved_at is 'when the user agreed';
comment on column auth.oauth_authorizations.nonce is 'the application''s, for the ID token';
comment on column auth.oauth_authorizations.authenticated_at is 'sign-in of the user who agreed; auth_time of the ID token';
comment on column auth.oauth_authorizations.factor_id is 'second factor that this user''s session had verified';
comment on column auth.oauth_authorizations.consumed_at is 'when the code was exchanged; it is kept to recognize a second use';
comment on column auth.oauth_authorizations.session_id is 'session that the code gave, which a second use ends';
comment on column auth.oauth_authorizations.browser is 'digest of the cookie of the browser that asked';
comment on column auth.oauth_authorizations.approved_in is 'session of the user in which was agreed';

create table auth.oauth_consents (
  id uuid not null,
  user_id uuid not null,
  client_id uuid not null,
  scopes text not null,
  granted_at timestamptz not null default now(),
  revoked_at timestamptz,
  constraint oauth_consents_pkey primary key (id),
  constraint oauth_consents_user_id_client_id_key unique (user_id, client_id),
  constraint oauth_consents_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
  constraint oauth_consents_client_id_fkey foreign key (client_id) references auth.oauth_clients (id) on delete cascade,
  constraint oauth_consents_scopes_check check (char_length(scopes) <= 2048 and char_length(trim(scopes)) > 0)
);
create index oauth_consents_client_id_idx on auth.oauth_consents (client_id);
comment on table auth.oauth_consents is 'What users have allowed applications.';
comment on column auth.oauth_consents.id is 'key';
comment on column auth.oauth_consents.user_id is 'user';
comment on column auth.oauth_consents.client_id is 'application';
comment on column auth.oauth_consents.scopes is 'scopes, separated by spaces';
comment on column auth.oauth_consents.granted_at is 'when the user agreed last';
comment on column auth.oauth_consents.revoked_at is 'when the user took it back';

alter table auth.sessions add constraint sessions_oauth_client_id_fkey
  foreign key (oauth_client_id) references auth.oauth_clients (id) on delete cascade;
create index sessions_oauth_client_id_idx on auth.sessions (oauth_client_id) where oauth_client_id is not null;
create index sessions_browser_idx on auth.sessions (browser) where browser is not null;

do $$
declare
  name text;
begin
  foreach name in array array['oauth_clients', 'oauth_authorizations', 'oauth_consents'] loop
    execute format('alter table auth.%I enable row level security', name);
    execute format('alter table auth.%I force row level security', name);
    execute format('create policy owner_all on auth.%I to rowhouse_owner using (true) with check (true)', name);
  end loop;
end
$$;

create function auth.audit_consent() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform auth.audit_repeated(
    case when new.revoked_at is null then 'oauth_consent_granted' else 'oauth_consent_revoked' end, new.user_id,
    jsonb_build_object('log_type', 'account', 'traits', jsonb_build_object(
      'user_id', new.user_id, 'oauth_client_id', new.client_id, 'scopes', new.scopes)));
  return null;
end
$$;
comment on function auth.audit_consent() is 'Writes down what a user has allowed an application, and that it was taken back.';
create trigger audited after insert or update on auth.oauth_consents for each row execute function auth.audit_consent();

-- A session that an application has for a user. They have a bound of their own, so that applications do not sign people out.
-- It is aal1; its factor is the one that the user who agreed had verified, without which it would not outlast the user's
-- next verification.
create function auth.open_client_session(
  session uuid, member uuid, client uuid, scope text, factor uuid, at timestamptz, agent text, address inet, others bigint,
  claim uuid
) returns table (
  id uuid, user_id uuid, created_at timestamptz, not_after timestamptz, aal text, amr jsonb, refresh_token_counter bigint,
  rotated_at timestamptz, tenant_id uuid, organization_id uuid, tenant_role text, impersonator uuid, impersonation_id uuid
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  delete from auth.sessions where id = any (array(
    select s.id from auth.sessions s where s.user_id = member and s.oauth_client_id is not null
    order by s.not_after is null or s.not_after > at desc, coalesce(s.refreshed_at, s.created_at) desc
    offset others limit 100));
  select m.tenant_id, m.organization_id, m.role into tenant_id, organization_id, tenant_role
  from auth.membership_of(member, null, client) m;
  insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip, tenant_id, refresh_token_counter,
    rotated_at, oauth_client_id, scopes, factor_id)
  values (session, member, at, at, 'aal1', agent, address, open_client_session.tenant_id, 1, at, client, scope, factor);
  insert into auth.mfa_amr_claims (id, session_id, authentication_method, created_at, updated_at)
  values (claim, session, 'oauth_provider/authorization_code', at, at);
  return query select session, member, at, null::timestamptz, 'aal1', auth.amr_of(session), 1::bigint, at,
    open_client_session.tenant_id, open_client_session.organization_id, open_client_session.tenant_role, null::uuid, null::uuid;
end
$$;
comment on function auth.open_client_session(uuid, uuid, uuid, text, uuid, timestamptz, text, inet, bigint, uuid) is
  'Opens an application''s session of a user who has agreed; returns it with its tenant.';
revoke execute on function auth.open_client_session(uuid, uuid, uuid, text, uuid, timestamptz, text, inet, bigint, uuid)
  from public;

-- Ends everything that an application, of one user or of all, has been given; what is null is not restricted.
create function auth.end_client_access(client uuid, member uuid, at timestamptz) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update auth.oauth_consents c set revoked_at = at
  where c.client_id = client and (member is null or c.user_id = member) and c.revoked_at is null;
  delete from auth.oauth_authorizations a where a.client_id = client and (member is null or a.user_id = member);
  delete from auth.sessions s where s.oauth_client_id = client and (member is null or s.user_id = member);
end
$$;
comment on function auth.end_client_access(uuid, uuid, timestamptz) is
  'Revokes consents, codes and sessions of an application, of one user or, without one, of all.';
revoke execute on function auth.end_client_access(uuid, uuid, timestamptz) from public;

-- Signs out of applications in a browser: of the session that is given, or of all that were opened there. With each goes the user's
-- own session in which was agreed to it, since the next application would be answered out of that without a question, and
-- what was asked for there and not exchanged yet. Returns whose sessions were ended.
create function auth.end_browser_sessions(of_browser text, only_session uuid default null) returns setof uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_ended auth.sessions[];
begin
  with gone as (
    delete from auth.sessions s
    where s.browser = of_browser and (only_session is null or s.id = only_session) returning s as session)
  select coalesce(array_agg(g.session), '{}') into v_ended from gone g;
  delete from auth.oauth_authorizations a
  where a.browser = of_browser and a.consumed_at is null and a.user_id in (select e.user_id from unnest(v_ended) e);
  delete from auth.sessions s using unnest(v_ended) e
  where s.id = e.approved_in and s.user_id = e.user_id and s.oauth_client_id is null and s.impersonation_id is null;
  return query select distinct e.user_id from unnest(v_ended) e;
end
$$;
comment on function auth.end_browser_sessions(text, uuid) is
  'Ends applications'' sessions of a browser, one or all, with the users'' own sessions in which was agreed to them; returns the users.';
revoke execute on function auth.end_browser_sessions(text, uuid) from public;

-- Requests that nobody has agreed to do not count: anybody can make them.
create function auth.is_unused_client(client uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select not exists (select from auth.oauth_consents g where g.client_id = client and g.revoked_at is null)
    and not exists (select from auth.oauth_authorizations a where a.client_id = client and a.status = 'approved')
    and not exists (select from auth.sessions s where s.oauth_client_id = client)
$$;
comment on function auth.is_unused_client(uuid) is 'Whether no user has agreed to an application.';
revoke execute on function auth.is_unused_client(uuid) from public;

-- Requests that expired a day ago, and applications that registered themselves a day ago and that nobody uses.
create function auth.prune_oauth() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  most constant int := 1000;
  removed bigint;
  total bigint := 0;
begin
  delete from auth.oauth_authorizations where id = any (array(
    select a.id from auth.oauth_authorizations a where a.expires_at < clock_timestamp() - interval '1 day' limit most));
  get diagnostics removed = row_count;
  total := total + removed;
  delete from auth.oauth_clients where id = any (array(
    select c.id from auth.oauth_clients c
    where c.registration_type = 'dynamic' and c.created_at < clock_timestamp() - interval '1 day'
      and auth.is_unused_client(c.id)
    limit most));
  get diagnostics removed = row_count;
  return total + removed;
end
$$;
comment on function auth.prune_oauth() is
  'Deletes expired requests for authorization and unused applications, 1000 of each; returns how many.';

comment on column auth.sessions.oauth_client_id is 'application whose session it is; null for one of the user''s own';
comment on column auth.sessions.scopes is 'what the user has allowed that application, separated by spaces';
