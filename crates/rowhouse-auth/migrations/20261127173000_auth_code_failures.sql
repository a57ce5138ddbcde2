-- Wrong codes for an address or number, whichever letter or message they were for: a new code must not make room for as many
-- guesses again.
create table auth.code_failures (
  address_digest text not null,
  failures int not null,
  since timestamptz not null,
  constraint code_failures_pkey primary key (address_digest)
);
create index code_failures_since_idx on auth.code_failures (since);
comment on table auth.code_failures is 'Wrong codes for an address or number within a day, across letters and messages.';
comment on column auth.code_failures.address_digest is 'HMAC of the address or number';
comment on column auth.code_failures.failures is 'wrong codes';
comment on column auth.code_failures.since is 'time of the first of them';
alter table auth.code_failures enable row level security;
alter table auth.code_failures force row level security;
create policy owner_all on auth.code_failures to rowhouse_owner using (true) with check (true);
