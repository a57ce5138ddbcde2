-- Sign-in by link, code, second factor and other providers, in GoTrue's tables, with additions marked "ours".

create type auth.factor_type as enum ('totp', 'webauthn', 'phone');
create type auth.factor_status as enum ('unverified', 'verified');
create type auth.code_challenge_method as enum ('s256', 'plain');
create type auth.one_time_token_type as enum (
  'confirmation_token', 'reauthentication_token', 'recovery_token', 'email_change_token_new', 'email_change_token_current',
  'phone_change_token');

-- How a session was authenticated; becomes the claim amr.
create table auth.mfa_amr_claims (
  session_id uuid not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  authentication_method text not null,
  id uuid not null default gen_random_uuid(),
  -- ours: the provider of an external sign-in
  provider text,
  constraint mfa_amr_claims_pkey primary key (id),
  constraint mfa_amr_claims_session_id_authentication_method_key unique (session_id, authentication_method),
  constraint mfa_amr_claims_session_id_fkey foreign key (session_id) references auth.sessions (id) on delete cascade
);
comment on table auth.mfa_amr_claims is 'How each session was authenticated (RFC 8176); one row per method.';

create table auth.mfa_factors (
  id uuid not null,
  user_id uuid not null,
  friendly_name text,
  factor_type auth.factor_type not null,
  status auth.factor_status not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  -- ours: sealed with [auth] key_secret; a text imported from GoTrue is base32
  secret text,
  phone text,
  last_challenged_at timestamptz,
  web_authn_credential jsonb,
  web_authn_aaguid uuid,
  last_webauthn_challenge_data jsonb,
  -- ours: time step of the last code accepted, so that none is accepted twice (RFC 6238 section 5.2)
  last_totp_step bigint,
  -- ours: wrong codes in a row
  failed_attempts int not null default 0,
  -- ours: no code is compared before this time
  locked_until timestamptz,
  constraint mfa_factors_pkey primary key (id),
  constraint mfa_factors_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);
create unique index mfa_factors_user_friendly_name_unique on auth.mfa_factors (friendly_name, user_id)
  where trim(friendly_name) <> '';
create index factor_id_created_at_idx on auth.mfa_factors (user_id, created_at);
create unique index unique_phone_factor_per_user on auth.mfa_factors (user_id, phone);
comment on table auth.mfa_factors is 'Second factors of users: TOTP, phone, WebAuthn.';

create table auth.mfa_challenges (
  id uuid not null,
  factor_id uuid not null,
  created_at timestamptz not null,
  verified_at timestamptz,
  ip_address inet,
  -- ours: digest of the code of a phone factor
  otp_code text,
  web_authn_session_data jsonb,
  constraint mfa_challenges_pkey primary key (id),
  constraint mfa_challenges_factor_id_fkey foreign key (factor_id) references auth.mfa_factors (id) on delete cascade
);
create index mfa_challenge_created_at_idx on auth.mfa_challenges (created_at desc);
create index mfa_challenges_factor_id_idx on auth.mfa_challenges (factor_id);
comment on table auth.mfa_challenges is 'Challenges to second factors that wait for their code or assertion.';

-- Links and codes sent to users. Only digests are stored: of the link's token a SHA-256, of the short code an HMAC
-- with a key derived from [auth] key_secret.
create table auth.one_time_tokens (
  id uuid not null,
  user_id uuid not null,
  token_type auth.one_time_token_type not null,
  token_hash text not null,
  -- the address or number to which it was sent
  relates_to text not null,
  created_at timestamp without time zone not null default (now() at time zone 'utc'),
  updated_at timestamp without time zone not null default (now() at time zone 'utc'),
  -- ours: the HMAC of the code
  code_hash text not null default '',
  -- ours: what was sent (signup, invite, magiclink, …), which may be narrower than the type
  purpose text not null default '',
  -- ours: the code challenge that the link's answer is bound to
  flow_state_id uuid,
  -- ours: wrong codes
  failed_attempts int not null default 0,
  -- ours
  expires_at timestamptz,
  constraint one_time_tokens_pkey primary key (id),
  constraint one_time_tokens_token_hash_check check (char_length(token_hash) > 0),
  constraint one_time_tokens_user_id_token_type_key unique (user_id, token_type),
  constraint one_time_tokens_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);
create index one_time_tokens_token_hash_hash_idx on auth.one_time_tokens using hash (token_hash);
create index one_time_tokens_relates_to_hash_idx on auth.one_time_tokens using hash (relates_to);
create index one_time_tokens_flow_state_id_idx on auth.one_time_tokens (flow_state_id);
create index one_time_tokens_expires_at_idx on auth.one_time_tokens (expires_at);
comment on table auth.one_time_tokens is 'Links and codes that were sent and not used yet; digests only.';

-- A sign-in in progress: between a code challenge (RFC 7636) and its verifier, or between the redirect to another
-- provider and its callback.
create table auth.flow_state (
  id uuid not null,
  user_id uuid,
  -- ours: the SHA-256 of the code
  auth_code text,
  code_challenge_method auth.code_challenge_method,
  code_challenge text,
  provider_type text not null,
  provider_access_token text,
  provider_refresh_token text,
  created_at timestamptz,
  updated_at timestamptz,
  authentication_method text not null,
  auth_code_issued_at timestamptz,
  invite_token text,
  referrer text,
  oauth_client_state_id uuid,
  linking_target_id uuid,
  email_optional boolean not null default false,
  -- ours: the nonce and the code verifier sent to the provider, sealed
  provider_state text,
  constraint flow_state_pkey primary key (id),
  constraint flow_state_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);
create unique index flow_state_auth_code_key on auth.flow_state (auth_code);
create index flow_state_created_at_idx on auth.flow_state (created_at desc);
create index flow_state_user_id_idx on auth.flow_state (user_id);
create index flow_state_linking_target_id_idx on auth.flow_state (linking_target_id) where linking_target_id is not null;
comment on table auth.flow_state is 'Sign-ins in progress: code challenges that wait for their verifier, redirects that wait for their callback.';

alter table auth.one_time_tokens add constraint one_time_tokens_flow_state_id_fkey
  foreign key (flow_state_id) references auth.flow_state (id) on delete set null;

-- Keys of [passkeys](https://www.w3.org/TR/webauthn-2/): sign-in without a password.
create table auth.webauthn_credentials (
  id uuid not null,
  user_id uuid not null,
  credential_id bytea not null,
  public_key bytea not null,
  attestation_type text not null default '',
  aaguid uuid,
  sign_count bigint not null default 0,
  transports jsonb not null default '[]',
  backup_eligible boolean not null default false,
  backed_up boolean not null default false,
  friendly_name text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  last_used_at timestamptz,
  constraint webauthn_credentials_pkey primary key (id),
  constraint webauthn_credentials_credential_id_key unique (credential_id),
  constraint webauthn_credentials_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);
create index webauthn_credentials_user_id_idx on auth.webauthn_credentials (user_id);
comment on table auth.webauthn_credentials is 'Passkeys of users (WebAuthn level 2).';

create table auth.webauthn_challenges (
  id uuid not null,
  user_id uuid,
  challenge_type text not null,
  session_data jsonb not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  constraint webauthn_challenges_pkey primary key (id),
  constraint webauthn_challenges_challenge_type_check check (challenge_type in ('signup', 'registration', 'authentication')),
  constraint webauthn_challenges_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);
create index webauthn_challenges_user_id_idx on auth.webauthn_challenges (user_id);
create index webauthn_challenges_expires_at_idx on auth.webauthn_challenges (expires_at);
comment on table auth.webauthn_challenges is 'Passkey ceremonies in progress.';

-- Ours: codes for the day on which the second factor is lost.
create table auth.mfa_recovery_codes (
  id uuid not null,
  user_id uuid not null,
  code_hash text not null,
  created_at timestamptz not null,
  used_at timestamptz,
  constraint mfa_recovery_codes_pkey primary key (id),
  constraint mfa_recovery_codes_user_id_code_hash_key unique (user_id, code_hash),
  constraint mfa_recovery_codes_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);
comment on table auth.mfa_recovery_codes is 'Recovery codes for users without their second factor; digests only.';

do $$
declare
  name text;
begin
  foreach name in array array['mfa_amr_claims', 'mfa_factors', 'mfa_challenges', 'one_time_tokens', 'flow_state',
    'webauthn_credentials', 'webauthn_challenges', 'mfa_recovery_codes'] loop
    execute format('alter table auth.%I enable row level security', name);
    execute format('alter table auth.%I force row level security', name);
    execute format('create policy owner_all on auth.%I to rowhouse_owner using (true) with check (true)', name);
  end loop;
end
$$;

-- What has expired: links and codes, sign-ins in progress, challenges; 1000 of each in one call.
create function auth.prune_flows() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  most constant int := 1000;
  too_old constant timestamptz := clock_timestamp() - interval '1 day';
  removed bigint;
  total bigint := 0;
begin
  delete from auth.one_time_tokens where id = any (array(
    select t.id from auth.one_time_tokens t where t.expires_at < too_old limit most));
  get diagnostics removed = row_count;
  total := total + removed;
  delete from auth.flow_state where id = any (array(
    select f.id from auth.flow_state f
    where f.created_at < too_old and not exists (
      select from auth.one_time_tokens t where t.flow_state_id = f.id and t.expires_at >= too_old) limit most));
  get diagnostics removed = row_count;
  total := total + removed;
  delete from auth.mfa_challenges where id = any (array(
    select c.id from auth.mfa_challenges c where c.created_at < too_old limit most));
  get diagnostics removed = row_count;
  total := total + removed;
  delete from auth.webauthn_challenges where id = any (array(
    select c.id from auth.webauthn_challenges c where c.expires_at < too_old limit most));
  get diagnostics removed = row_count;
  return total + removed;
end
$$;
comment on function auth.prune_flows() is 'Deletes expired links, codes, sign-ins in progress and challenges, 1000 of each; returns how many.';
