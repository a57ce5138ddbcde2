-- Cleanup, called by jobs until nothing is left to do. Each call deletes some thousand rows and returns how many.

-- Expired codes and tokens: one-time tokens a day after they were sent, refresh tokens that were
-- rotated away 30 days ago (until then their second use still ends the session as theft), and failed sign-ins of a day ago.
create function auth.prune_tokens() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
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
  delete from auth.signin_failures f using (
    select n.account_digest, n.network from auth.signin_failures n where n.updated_at < too_old limit most) old
  where f.account_digest = old.account_digest and f.network = old.network;
  get diagnostics step = row_count;
  removed := removed + step;
  delete from auth.known_networks k using (
    select n.user_id, n.network from auth.known_networks n
    where n.last_seen_at < clock_timestamp() - interval '180 days' limit most) old
  where k.user_id = old.user_id and k.network = old.network;
  get diagnostics step = row_count;
  return removed + step;
end
$$;

-- Sessions that expired a day ago, with their refresh tokens.
create function auth.prune_sessions() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  removed bigint;
begin
  delete from auth.sessions where id = any (array(
    select s.id from auth.sessions s where s.not_after < clock_timestamp() - interval '1 day' limit 1000));
  get diagnostics removed = row_count;
  return removed;
end
$$;
