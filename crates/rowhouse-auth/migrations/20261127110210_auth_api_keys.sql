-- Issued API keys, so that they can be listed and revoked one by one.
create table auth.api_keys (
  id uuid not null,
  kid text not null,
  role text not null,
  issued_at timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  constraint api_keys_pkey primary key (id),
  constraint api_keys_kid_fkey foreign key (kid) references auth.signing_keys (kid) on delete cascade,
  constraint api_keys_role_check check (role in ('anon', 'service_role'))
);
create index api_keys_kid_idx on auth.api_keys (kid);
create index api_keys_revoked_at_idx on auth.api_keys (revoked_at) where revoked_at is not null;
comment on table auth.api_keys is 'Issued API keys; the keys themselves are not stored.';
comment on column auth.api_keys.id is 'The claim jti of the key.';
comment on column auth.api_keys.kid is 'The signing key; once that is removed, all keys that it signed are refused.';
comment on column auth.api_keys.role is 'anon or service_role.';
comment on column auth.api_keys.issued_at is 'When it was issued.';
comment on column auth.api_keys.expires_at is 'When it expires.';
comment on column auth.api_keys.revoked_at is 'When it was revoked; refused from then on.';
alter table auth.api_keys enable row level security;
alter table auth.api_keys force row level security;
create policy owner_all on auth.api_keys to rowhouse_owner using (true) with check (true);
