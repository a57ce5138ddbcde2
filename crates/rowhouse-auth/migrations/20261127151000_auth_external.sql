-- External sign-in: what a redirect to a provider has to remember, and providers that are set up through the admin API.

alter table auth.flow_state add column state_digest text;
create unique index flow_state_state_digest_key on auth.flow_state (state_digest);
comment on column auth.flow_state.state_digest is 'SHA-256 of the state sent to the provider; null once it came back';
alter table auth.flow_state add column browser_digest text;
comment on column auth.flow_state.browser_digest is 'SHA-256 of the cookie of the browser that may bring the state back';

-- GoTrue's table; client_secret is sealed with [auth] key_secret.
create table auth.custom_oauth_providers (
  id uuid not null,
  provider_type text not null,
  identifier text not null,
  name text not null,
  client_id text not null,
  client_secret text not null,
  acceptable_client_ids text[] not null default '{}',
  scopes text[] not null default '{}',
  pkce_enabled boolean not null default true,
  attribute_mapping jsonb not null default '{}',
  custom_claims_allowlist text[] not null default '{}',
  authorization_params jsonb not null default '{}',
  enabled boolean not null default true,
  email_optional boolean not null default false,
  issuer text,
  discovery_url text,
  skip_nonce_check boolean not null default false,
  authorization_url text,
  token_url text,
  userinfo_url text,
  jwks_uri text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint custom_oauth_providers_pkey primary key (id),
  constraint custom_oauth_providers_identifier_key unique (identifier),
  constraint custom_oauth_providers_identifier_check check (identifier ~ '^custom:[a-z0-9]([a-z0-9:-]{0,41}[a-z0-9])?$'),
  constraint custom_oauth_providers_provider_type_check check (provider_type in ('oauth2', 'oidc'))
);
comment on table auth.custom_oauth_providers is 'Providers of external sign-in that are set up through the admin API.';
comment on column auth.custom_oauth_providers.id is 'key';
comment on column auth.custom_oauth_providers.provider_type is 'oidc or oauth2';
comment on column auth.custom_oauth_providers.identifier is 'custom: and a name; the provider in identities and requests';
comment on column auth.custom_oauth_providers.name is 'name to show';
comment on column auth.custom_oauth_providers.client_id is 'client id at the provider';
comment on column auth.custom_oauth_providers.client_secret is 'client secret, sealed';
comment on column auth.custom_oauth_providers.acceptable_client_ids is 'further client ids that ID tokens may be for';
comment on column auth.custom_oauth_providers.scopes is 'scopes that a sign-in asks for';
comment on column auth.custom_oauth_providers.pkce_enabled is 'whether the provider is sent a code challenge';
comment on column auth.custom_oauth_providers.attribute_mapping is 'our claim names with the provider''s';
comment on column auth.custom_oauth_providers.custom_claims_allowlist is 'claims kept under custom_claims';
comment on column auth.custom_oauth_providers.authorization_params is 'further parameters of the redirect';
comment on column auth.custom_oauth_providers.enabled is 'whether it may be used';
comment on column auth.custom_oauth_providers.email_optional is 'whether it may give no verified address';
comment on column auth.custom_oauth_providers.issuer is 'issuer; OpenID Connect';
comment on column auth.custom_oauth_providers.discovery_url is 'discovery document, if not at the issuer''s usual place';
comment on column auth.custom_oauth_providers.skip_nonce_check is 'whether ID tokens may have no nonce';
comment on column auth.custom_oauth_providers.authorization_url is 'authorization endpoint; OAuth 2';
comment on column auth.custom_oauth_providers.token_url is 'token endpoint; OAuth 2';
comment on column auth.custom_oauth_providers.userinfo_url is 'where the profile is read; OAuth 2';
comment on column auth.custom_oauth_providers.jwks_uri is 'GoTrue''s, kept and unused';
comment on column auth.custom_oauth_providers.created_at is 'creation';
comment on column auth.custom_oauth_providers.updated_at is 'last change';
alter table auth.custom_oauth_providers enable row level security;
alter table auth.custom_oauth_providers force row level security;
create policy owner_all on auth.custom_oauth_providers to rowhouse_owner using (true) with check (true);

-- Removes from an account whose address nobody has proved to own everything by which whoever made it could come back.
create function auth.evict_unproved(account uuid) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  delete from auth.sessions s where s.user_id = account;
  delete from auth.identities i where i.user_id = account;
  delete from auth.mfa_factors f where f.user_id = account;
  delete from auth.known_networks n where n.user_id = account;
  delete from auth.one_time_tokens t where t.user_id = account;
  delete from auth.webauthn_credentials c where c.user_id = account;
  delete from auth.mfa_recovery_codes r where r.user_id = account;
  delete from auth.oauth_consents c where c.user_id = account;
  delete from auth.oauth_authorizations a where a.user_id = account;
  delete from auth.flow_state f where f.user_id = account or f.linking_target_id = account;
  update auth.users u set
    encrypted_password = '', raw_user_meta_data = '{}',
    email_change = '', phone = null, phone_change = '', confirmation_token = '', recovery_token = '',
    email_change_token_new = '', email_change_token_current = '', phone_change_token = '', reauthentication_token = ''
  where u.id = account;
end
$$;
comment on function auth.evict_unproved(uuid) is
  'Removes password, sessions, identities and factors of an account whose address was never confirmed.';
revoke execute on function auth.evict_unproved(uuid) from public;

-- Lists the providers of a user's identities, the oldest first, where tokens tell them.
create function auth.list_providers(account uuid, changed_at timestamptz) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  update auth.users u set
    raw_app_meta_data = coalesce(u.raw_app_meta_data, '{}') || jsonb_strip_nulls(jsonb_build_object(
      'provider', known.names[1], 'providers', to_jsonb(known.names))),
    updated_at = changed_at
  from (
    select coalesce(array_agg(p.provider order by p.since, p.provider <> 'email', p.provider), '{}') as names from (
      select i.provider, min(i.created_at) as since from auth.identities i where i.user_id = account group by i.provider
    ) p
  ) known
  where u.id = account
$$;
comment on function auth.list_providers(uuid, timestamptz) is
  'Sets provider and providers in a user''s app metadata to those of the identities.';
revoke execute on function auth.list_providers(uuid, timestamptz) from public;
