-- Ends sessions that were not used for ages[1] seconds, with their refresh tokens; at most 1000 in one call.
create function auth.end_idle_sessions(ages double precision[]) returns bigint
language plpgsql set search_path = '' as $$
declare
  removed bigint;
begin
  delete from auth.sessions where id = any (array(
    select s.id from auth.sessions s
    where coalesce(s.refreshed_at, s.created_at) < clock_timestamp() - make_interval(secs => ages[1]) limit 1000));
  get diagnostics removed = row_count;
  return removed;
end
$$;
comment on function auth.end_idle_sessions(double precision[]) is
  'Ends sessions that were not used for so many seconds, 1000 in one call; returns how many.';
