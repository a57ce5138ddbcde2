-- Declarations of rowhouse.toml: limits of queues, and schedules.

-- Limits from the file are removed when the file no longer names the queue.
alter table jobs.queues add column declared boolean not null default false;

create table jobs.schedules (
  name text not null check (name ~ '^[a-z][a-z0-9_.-]{0,62}$'),
  cron text not null,
  timezone text not null,
  kind text not null references jobs.kinds (name),
  payload jsonb not null default '{}' check (jsonb_typeof(payload) = 'object'),
  queue text not null references jobs.queues (name),
  -- policy for times that were missed while no process ran
  missed text not null check (missed in ('skip', 'once', 'all')),
  jitter interval not null check (jitter between interval '0' and interval '1 day'),
  paused boolean not null,
  -- false once the file no longer names it: it never fires
  declared boolean not null default true,
  -- built in; the file may only override it
  built_in boolean not null,
  -- the pattern's time that fires next, and that time with jitter; null is never
  slot timestamptz,
  next_at timestamptz,
  last_at timestamptz,
  last_job bigint,
  -- why the last firing enqueued no job
  last_error text,
  -- outcome of that job, kept when the job itself is pruned; see jobs.result_of
  last_result jsonb,
  constraint schedules_pkey primary key (name)
);
alter table jobs.schedules enable row level security;
alter table jobs.schedules force row level security;
create policy owner_all on jobs.schedules to rowhouse_owner using (true) with check (true);

-- The outcome of a job that was enqueued at `since`: its state, when that was reached, its error and its result. Null
-- once it is pruned. Searches the cheap tables first.
create function jobs.result_of(job_id bigint, since timestamptz) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  found_result jsonb;
begin
  select jsonb_build_object('state', d.state, 'at', d.died_at, 'error', d.error) into found_result
  from jobs.dead d where d.id = job_id;
  if found_result is null then
    select jsonb_build_object('state', 'done', 'at', r.finished_at, 'result', r.result) into found_result
    from jobs.results r where r.id = job_id;
  end if;
  if found_result is null then
    select jsonb_build_object('state', case when (s.job).attempt > 0 then 'retrying' else 'scheduled' end, 'at', s.run_at,
      'error', (select l.line from jobs.log l where l.id = job_id order by l.at desc limit 1)) into found_result
    from jobs.scheduled s where s.id = job_id;
  end if;
  if found_result is null then
    select jsonb_build_object('state', 'running', 'at', l.taken_at) into found_result
    from jobs.leases l where exists (select from unnest(l.jobs) j where j.id = job_id) limit 1;
  end if;
  if found_result is null then
    select jsonb_build_object('state', 'done', 'at', d.finished_at) into found_result
    from jobs.done d where d.finished_at >= since and job_id = any (d.ids) limit 1;
  end if;
  if found_result is null and (exists (select from jobs.ready r where r.id = job_id)) then
    found_result := jsonb_build_object('state', 'ready', 'at', since);
  end if;
  return jsonb_strip_nulls(found_result);
end
$$;

-- Stores the outcomes of schedules' last jobs before they are pruned: some schedules fire once a month.
create function jobs.record_last_results() returns void
language sql set search_path = pg_catalog, pg_temp as $$
  update jobs.schedules s set last_result = f.result
  from (select k.name, k.last_job, jobs.result_of(k.last_job, k.last_at) as result from jobs.schedules k
    where k.last_job is not null and k.last_result ->> 'state' is distinct from 'done' for update skip locked) f
  where s.name = f.name and f.result ->> 'state' in ('done', 'dead', 'cancelled') and f.result is distinct from s.last_result
$$;

-- Deletes up to some thousand rows of each kind that are older than the ages, in seconds: of done, results, log and
-- progress, dead, effects. Returns how many; 0 is the end.
create function jobs.prune(ages double precision[]) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  most constant int := 5000;
  old record;
  step bigint;
  removed bigint := 0;
begin
  perform jobs.record_last_results();
  for old in
    select * from (values
      ('done', 'finished_at', ages[1]), ('results', 'finished_at', ages[2]), ('log', 'at', ages[3]),
      ('progress', 'at', ages[3]), ('dead', 'died_at', ages[4]), ('effects', 'at', ages[5]),
      -- the slowest supported rate is one in two days
      ('recent_starts', 'last_at', 172800)) as kept (relation, since, age)
  loop
    execute format('delete from jobs.%1$I where ctid = any (array(select ctid from jobs.%1$I '
      'where %2$I < clock_timestamp() - make_interval(secs => $1) limit $2))', old.relation, old.since)
      using old.age, most;
    get diagnostics step = row_count;
    removed := removed + step;
  end loop;
  return removed;
end
$$;
