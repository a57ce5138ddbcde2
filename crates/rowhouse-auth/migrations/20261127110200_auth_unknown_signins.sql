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

-- Expired codes and tokens: one-time tokens a day after they were sent, refresh tokens that were
-- rotated away 30 days ago (until then their second use still ends the session as theft), and failed sign-ins of a day ago.
create or replace function auth.prune_tokens() returns bigint
language plpgsql set search_path = '' as $$
declare
  most constant int := 5000;
  too_old constant timestamptz := clock_timestamp() - interval '1 day';
  removed bigint;
  step bigint;
begin
  delete from auth.refresh_tokens where id = any (array(
    select t.id from auth.refresh_tokens t
    where t.revoked and t.updated_at < clock_timestamp() - interval '30 days' limit most));
  get diagnostics removed = row_count;
  update auth.users u set
    confirmation_token = case when u.confirmation_sent_at < too_old then '' else u.confirmation_token end,
    recovery_token = case when u.recovery_sent_at < too_old then '' else u.recovery_token end,
    email_change_token_new = case when u.email_change_sent_at < too_old then '' else u.email_change_token_new end,
    email_change_token_current = case when u.email_change_sent_at < too_old then '' else u.email_change_token_current end,
    phone_change_token = case when u.phone_change_sent_at < too_old then '' else u.phone_change_token end,
    reauthentication_token = case when u.reauthentication_sent_at < too_old then '' else u.reauthentication_token end
  where u.id = any (array(
    select v.id from auth.users v
    where (v.confirmation_token <> '' and v.confirmation_sent_at < too_old)
      or (v.recovery_token <> '' and v.recovery_sent_at < too_old)
      or (v.email_change_token_new <> '' and v.email_change_sent_at < too_old)
      or (v.email_change_token_current <> '' and v.email_change_sent_at < too_old)
      or (v.phone_change_token <> '' and v.phone_change_sent_at < too_old)
      or (v.reauthentication_token <> '' and v.reauthentication_sent_at < too_old)
    limit most));
  get diagnostics step = row_count;
  removed := removed + step;
  delete from auth.unknown_signins where address_digest = any (array(
    select n.address_digest from auth.unknown_signins n where n.updated_at < too_old limit most));
  get diagnostics step = row_count;
  return removed + step;
end
$$;
