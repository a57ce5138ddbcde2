-- Failed sign-ins for unknown addresses. They are counted and locked like those of users, so that a lock does not
-- reveal which addresses are known.
create table auth.unknown_signins (
  address_digest text not null,
  failed_signins int not null,
  locked_until timestamptz,
  updated_at timestamptz not null,
  constraint unknown_signins_pkey primary key (address_digest),
  constraint unknown_signins_address_digest_check check (length(address_digest) = 64)
);
create index unknown_signins_updated_at_idx on auth.unknown_signins (updated_at);
comment on table auth.unknown_signins is
  'Failed sign-ins for addresses that no user has; an entry goes a day after the last one.';
comment on column auth.unknown_signins.address_digest is 'SHA-256 of the address in lower case, in hex.';
comment on column auth.unknown_signins.failed_signins is 'Consecutive wrong passwords since the last lock.';
comment on column auth.unknown_signins.locked_until is 'Until when sign-ins for the address are refused.';
comment on column auth.unknown_signins.updated_at is 'When the last sign-in failed.';
alter table auth.unknown_signins enable row level security;
alter table auth.unknown_signins force row level security;
create policy owner_all on auth.unknown_signins to rowhouse_owner using (true) with check (true);
