-- What survives a change of auth.key_secret.

create table auth.root_secrets (
  id boolean not null default true,
  sealed bytea not null,
  created_at timestamptz not null,
  constraint root_secrets_pkey primary key (id),
  constraint root_secrets_id_check check (id)
);
comment on table auth.root_secrets is
  'At most one row: the first auth.key_secret, from which the keys of codes derive, once it was replaced.';
comment on column auth.root_secrets.id is 'True; there is one row.';
comment on column auth.root_secrets.sealed is 'The secret, sealed with the current auth.key_secret.';
comment on column auth.root_secrets.created_at is 'When it was replaced.';
alter table auth.root_secrets enable row level security;
alter table auth.root_secrets force row level security;
create policy owner_all on auth.root_secrets to rowhouse_owner using (true) with check (true);
