-- How the first operator is made: with a token that works once.
create schema operators;
comment on schema operators is 'Tools of the people who run the installation; operators themselves are in tenancy.operators.';

create table operators.bootstrap_tokens (
  digest text not null check (digest ~ '^[0-9a-f]{64}$'),
  created_by text not null check (length(created_by) between 1 and 255),
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  used_by uuid,
  constraint bootstrap_tokens_pkey primary key (digest)
);
comment on table operators.bootstrap_tokens is 'Tokens for the first operator; one at most is open, unused and not expired.';
comment on column operators.bootstrap_tokens.digest is 'SHA-256 of the token in hex; the token has 130 bits.';
comment on column operators.bootstrap_tokens.created_by is 'Who made it, as in the audit log.';
comment on column operators.bootstrap_tokens.created_at is 'When it was made.';
comment on column operators.bootstrap_tokens.expires_at is 'Until when it can be used.';
comment on column operators.bootstrap_tokens.used_at is 'When it was used; null until then.';
comment on column operators.bootstrap_tokens.used_by is 'Who has become operator by it. No reference: the row outlives the user.';
create unique index bootstrap_tokens_unused_idx on operators.bootstrap_tokens ((used_at is null)) where used_at is null;
alter table operators.bootstrap_tokens enable row level security;
alter table operators.bootstrap_tokens force row level security;
create policy owner_all on operators.bootstrap_tokens to rowhouse_owner using (true) with check (true);
