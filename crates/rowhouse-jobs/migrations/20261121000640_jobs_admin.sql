-- Control of jobs and reports of running ones: pausing, progress, log lines, and the id of the request.

-- The id of the current request: set by the program, or in the data API from the request's headers, where the program
-- has put it.
create function jobs.request_id() returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select left(coalesce(
    nullif(current_setting('rowhouse.request_id', true), ''),
    nullif(current_setting('request.headers', true), '')::json ->> 'x-request-id'), 64)
$$;

-- Stores the progress of a running job: 0 to 100 percent. A second call within a tenth of a second changes nothing,
-- unless it is 100.
create function jobs.set_progress(job_id bigint, percent real, note text default null) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into jobs.progress as p (id, percent, note)
  values (job_id, least(greatest(percent, 0), 100), left(note, 1000))
  on conflict on constraint progress_pkey do update
  set percent = excluded.percent, note = excluded.note, at = excluded.at
  where excluded.percent = 100 or p.at < clock_timestamp() - interval '100 milliseconds'
$$;

-- Adds a line of at most 10,000 characters to a job's log; a job keeps its first 1,000.
create function jobs.write_log(job_id bigint, line text, attempt int default null) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  most constant int := 1000;
  lines constant int := (select count(*) from (select from jobs.log l where l.id = job_id limit most) l);
begin
  if lines < most then
    insert into jobs.log (id, attempt, line)
    values (
      job_id,
      coalesce(attempt, (select j.attempt + 1 from jobs.leases l, unnest(l.jobs) j where j.id = job_id limit 1), 0),
      case when lines = most - 1 then 'This job writes too much; further lines are left out.' else left(line, 10000) end);
  end if;
end
$$;

-- Not executable by callers of the data API: an id does not prove that the job is theirs.
revoke execute on function jobs.set_progress(bigint, real, text), jobs.write_log(bigint, text, int) from public;
grant execute on function jobs.set_progress(bigint, real, text), jobs.write_log(bigint, text, int)
  to service_role, rowhouse_project;

-- A hook; the body is written by rowhouse-tenancy.
create function jobs.is_tenant(id uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select true
$$;
-- Tenants whose jobs are not fetched; a hook, too.
create function jobs.suspended_tenants() returns setof uuid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select null::uuid where false
$$;

-- Pauses or resumes a queue (null: every queue), for one tenant, or (null) for all. Returns the names of the queues, or of
-- the one word "all" for a tenant in every queue. Unknown queues and tenants are refused.
create function jobs.pause(of_queue text, of_tenant uuid, rests boolean) returns setof text
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if of_queue is not null then
    perform jobs.require_queue(of_queue);
  end if;
  if rests and of_tenant is not null and not jobs.is_tenant(of_tenant) then
    raise exception using errcode = 'invalid_parameter_value', message = format('there is no tenant %s', of_tenant);
  end if;
  if of_tenant is null then
    return query
      update jobs.queues q set paused = rests where of_queue is null or q.name = of_queue returning q.name;
    return;
  end if;
  if rests then
    insert into jobs.pauses (tenant, queue) values (of_tenant, of_queue) on conflict do nothing;
  else
    delete from jobs.pauses p where p.tenant = of_tenant and (of_queue is null or p.queue = of_queue);
  end if;
  return next coalesce(of_queue, 'all');
end
$$;

-- Retries a job: a dead or cancelled one with all its attempts, a failed or scheduled one at once. Returns how many.
create function jobs.retry(job_id bigint) returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  again int := jobs.redrive(array[job_id]);
begin
  if again = 0 and exists (select from jobs.dead d where d.id = job_id) then
    raise exception using errcode = 'unique_violation',
      message = format('another job that has not ended has the unique key of job %s', job_id);
  elsif again = 0 then
    update jobs.scheduled s set run_at = clock_timestamp() where s.id = job_id;
    get diagnostics again = row_count;
  end if;
  return again;
end
$$;

-- A job in full as one object; null if there is no job with this id.
create function jobs.find(job_id bigint) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
  with found (state, at, error, job, remaining, worker) as (
    select 'ready', null::timestamptz, null, r, null::int, null::uuid from jobs.ready r where r.id = job_id
    union all
    select 'scheduled', s.run_at, null, s.job, null, null from jobs.scheduled s where s.id = job_id
    union all
    select 'waiting', null, null, w.job, w.remaining, null from jobs.waiting w where w.id = job_id
    union all
    select 'running', l.taken_at, null, row(j.*)::jobs.ready, null, l.worker
    from jobs.leases l, unnest(l.jobs) j where j.id = job_id
    union all
    select d.state, d.died_at, d.error, d.job, null, null from jobs.dead d where d.id = job_id
    limit 1
  ), live as (
    select jsonb_build_object(
      'id', job_id, 'state', f.state, 'queue', n.queue, 'kind', n.kind, 'tenant', n.tenant, 'priority', n.priority,
      'enqueued_at', (f.job).enqueued_at, 'attempts', (f.job).attempt + (f.state = 'running')::int, 'at', f.at,
      'max_attempts', jobs.attempts_of(f.job), 'error', f.error, 'payload', coalesce((f.job).payload, '{}'),
      'key', (f.job).options ->> 'key', 'unique_key', (f.job).options ->> 'unique_key',
      'parent', ((f.job).options ->> 'parent')::bigint, 'request_id', (f.job).options ->> 'request_id',
      'waiting_for', f.remaining, 'worker', f.worker) as about
    from found f join jobs.partitions n on n.id = (f.job).partition
  ), done as (
    select jsonb_build_object('id', job_id, 'state', 'done', 'queue', n.queue, 'kind', n.kind, 'tenant', n.tenant,
      'priority', n.priority, 'at', d.finished_at) as about
    from jobs.done d join jobs.partitions n on n.id = coalesce(d.partition, d.partitions[array_position(d.ids, job_id)])
    where not exists (select from live) and jobs.id_range(d.ids[1]) = jobs.id_range(job_id) and job_id = any (d.ids)
    limit 1
  ), kept as (
    select jsonb_build_object('id', job_id, 'state', 'done', 'queue', n.queue, 'kind', n.kind, 'tenant', n.tenant,
      'priority', n.priority, 'at', r.finished_at) as about
    from jobs.results r join jobs.partitions n on n.id = r.partition
    where not exists (select from live) and not exists (select from done) and r.id = job_id
  )
  select a.about || jsonb_build_object(
    'result', (select r.result from jobs.results r where r.id = job_id),
    'progress', (
      select jsonb_build_object('percent', p.percent, 'note', p.note, 'at', p.at) from jobs.progress p where p.id = job_id),
    'log', coalesce((
      select jsonb_agg(jsonb_build_object('at', l.at, 'attempt', l.attempt, 'line', l.line) order by l.at)
      from jobs.log l where l.id = job_id), '[]'))
  from (select about from live union all select about from done union all select about from kept) a
$$;

-- The last counts, made by one process; the others export the same.
create table jobs.measurement (
  is_only boolean not null default true check (is_only),
  at timestamptz not null,
  -- as jobs stats shows them
  kinds jsonb not null,
  workers int not null,
  constraint measurement_pkey primary key (is_only)
);
alter table jobs.measurement enable row level security;
alter table jobs.measurement force row level security;
create policy owner_all on jobs.measurement to rowhouse_owner using (true) with check (true);
