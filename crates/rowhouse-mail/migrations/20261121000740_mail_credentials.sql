-- Credentials of SMTP submission.
create table mail.credentials (
  name text not null constraint credentials_name_check check (name ~ '^[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}$'),
  -- SHA-256 of the secret in hexadecimal; the secret has 130 random bits, so a slow hash would add nothing
  digest text not null,
  -- tenant of the mails that it submits
  tenant uuid,
  created_at timestamptz not null default clock_timestamp(),
  -- rounded to the hour
  last_used_at timestamptz,
  revoked_at timestamptz,
  constraint credentials_pkey primary key (name)
);
alter table mail.credentials enable row level security;
alter table mail.credentials force row level security;
create policy owner_all on mail.credentials to rowhouse_owner using (true) with check (true);
