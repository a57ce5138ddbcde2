-- Ending runs: completed, released, or lost with their worker. Executable by members of rowhouse_owner only.

-- Ends runs. `outcomes` is [{"lease": 7, "id": 1, "state": "done", "result": …}, {"id": 2, "state": "retry", "after": 2.5,
-- "error": …}, {"id": 3, "state": "dead" or "cancelled", "error": …}, {"id": 4, "state": "release"}]; `release` gives a job
-- back at once, and costs no attempt. "uncounted": true makes a retry cost none either. With "lost": true the run was cut off
-- from outside; that costs no attempt, but a job to which it happens five times is dead. Without "lease", whichever lease of
-- this worker has the job. Returns the ids that were completed; the worker has lost the others and must not report them
-- again.
create function jobs.complete(by_worker uuid, outcomes jsonb) returns bigint[]
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  unnamed constant bigint[] := array(select (o ->> 'id')::bigint from jsonb_array_elements(outcomes) o where not o ? 'lease');
  completed bigint[] := '{}';
  held jobs.leases;
  told record;
begin
  for told in
    select l as lease, t.outcomes
    from (
      select (o ->> 'lease')::bigint as id, jsonb_agg(o) as outcomes
      from jsonb_array_elements(outcomes) o where o ? 'lease' group by 1
    ) t
    join jobs.leases l on l.id = t.id
    where l.worker = by_worker order by l.id for update of l
  loop
    completed := completed || jobs.complete_lease(told.lease, told.outcomes);
  end loop;
  for held in
    select * from jobs.leases l
    where cardinality(unnamed) > 0 and l.worker = by_worker and exists (select from unnest(l.jobs) j where j.id = any (unnamed))
    order by l.id for update
  loop
    completed := completed || jobs.complete_lease(held, (
      select jsonb_agg(o) from jsonb_array_elements(outcomes) o where not o ? 'lease'));
  end loop;
  return completed;
end
$$;

-- Counts `ended` children of a waiting job, and makes it ready when the last has ended, or dead with the first that
-- failed. The flag failed_by_child lets it be retried together with that child.
create function jobs.end_children(of_parent bigint, ended int, failed int) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  parent jobs.waiting;
  job jobs.ready;
begin
  update jobs.waiting w set remaining = greatest(w.remaining - ended, 0) where w.id = of_parent returning * into parent;
  if not found then
    return;
  end if;
  job := parent.job;
  if failed > 0 and parent.on_failure = 'fail' then
    delete from jobs.waiting w where w.id = of_parent;
    job.options := coalesce(job.options, '{}') || '{"failed_by_child": true}';
    insert into jobs.dead (id, state, error, job) values (of_parent, 'dead', 'a child job failed', job);
    perform jobs.end_children((job.options ->> 'parent')::bigint, 1, 1) where job.options ? 'parent';
  elsif parent.remaining = 0 then
    delete from jobs.waiting w where w.id = of_parent;
    if to_timestamp((job.options ->> 'not_before')::double precision) > clock_timestamp() then
      insert into jobs.scheduled (run_at, job) values (to_timestamp((job.options ->> 'not_before')::double precision), job);
    else
      perform jobs.make_ready(array[job]);
    end if;
  end if;
end
$$;

-- Cleanup when a job ends: its unique key, a pending cancellation, its parent's count.
create function jobs.end_jobs(ended jobs.ready[], failed boolean) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  family record;
begin
  delete from jobs.cancellations c using unnest(ended) j where c.id = j.id;
  delete from jobs.unique_keys u using unnest(ended) j
  where j.options ? 'unique_key' and u.key = j.options ->> 'unique_key' and u.id = j.id;
  for family in
    select (j.options ->> 'parent')::bigint as parent, count(*)::int as children
    from unnest(ended) j where j.options ? 'parent' group by 1 order by 1
  loop
    perform jobs.end_children(family.parent, family.children, case when failed then family.children else 0 end);
  end loop;
end
$$;

-- One row for the jobs of a lease that succeeded, with their partitions if they are of several.
create function jobs.record_done(succeeded jobs.ready[]) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  insert into jobs.done (partition, partitions, ids)
  select case when min(j.partition) = max(j.partition) then min(j.partition) end,
    case when min(j.partition) <> max(j.partition) then array_agg(j.partition) end, array_agg(j.id)
  from unnest(succeeded) j group by jobs.id_range(j.id)
$$;

-- The part of jobs.complete for one lease, which the caller has locked. It keeps its number until its last job has ended.
create function jobs.complete_lease(held jobs.leases, outcomes jsonb) returns bigint[]
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  completed bigint[];
  well jobs.ready[];
  badly jobs.ready[];
  released jobs.ready[];
  rest jobs.ready[];
begin
  with told as materialized (
    select j as job, j.id, o.result, o.after,
      o.lost,
      case when c.id is not null and o.state in ('retry', 'release') then 'cancelled'
        when o.lost and jobs.deaths_of(j) + 1 >= jobs.most_deaths() then 'dead' else o.state end as state,
      case when c.id is not null and o.state = 'release' then 'cancelled before it ran' else left(o.error, 10000) end as error,
      row(j.partition, j.position, j.id, j.enqueued_at,
        j.attempt + (not coalesce(o.lost or o.uncounted or o.state = 'release', false))::int, j.payload,
        case when o.lost then coalesce(j.options, '{}') || jsonb_build_object('deaths', jobs.deaths_of(j) + 1)
          else j.options end)::jobs.ready as after_run
    from unnest(held.jobs) j
    join jsonb_to_recordset(outcomes) o (id bigint, state text, result jsonb, after double precision, error text, lost boolean,
      uncounted boolean) on o.id = j.id
    left join jobs.cancellations c on c.id = j.id
  ), results as (
    insert into jobs.results as r (id, result, partition)
    select t.id, t.result, (t.job).partition from told t where t.state = 'done' and jsonb_typeof(t.result) <> 'null'
    on conflict on constraint results_pkey do update set result = excluded.result, finished_at = excluded.finished_at
  ), again as (
    insert into jobs.scheduled (run_at, job)
    select clock_timestamp() + make_interval(secs => least(greatest(t.after, 0), 31536000)), t.after_run
    from told t where t.state = 'retry'
  ), lines as (
    insert into jobs.log (id, attempt, line)
    select t.id, (t.after_run).attempt, t.error from told t where t.error is not null and (t.state <> 'release' or t.lost)
  ), deaths as (
    insert into jobs.dead (id, state, error, job)
    select t.id, t.state, coalesce(t.error, ''), t.after_run from told t where t.state in ('dead', 'cancelled')
  )
  select coalesce(array_agg(t.id), '{}'), array_agg(t.job) filter (where t.state = 'done'),
    array_agg(t.job) filter (where t.state in ('dead', 'cancelled')), array_agg(t.after_run) filter (where t.state = 'release')
  into completed, well, badly, released from told t;
  if well is not null then
    perform jobs.record_done(well);
    perform jobs.end_jobs(well, false);
  end if;
  if badly is not null then
    perform jobs.end_jobs(badly, true);
  end if;
  if released is not null then
    perform jobs.make_ready(released);
  end if;
  select array_agg(j) into rest from unnest(held.jobs) j where j.id not in (select unnest(completed));
  if rest is null then
    delete from jobs.leases l where l.id = held.id;
  else
    update jobs.leases l set jobs = rest where l.id = held.id;
  end if;
  return completed;
end
$$;

-- Releases leases that their worker does not know: the fetch was committed, and its answer never arrived.
create function jobs.release_leases(of_worker uuid, unknown bigint[]) returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  held jobs.leases;
  given_back int := 0;
begin
  for held in
    select * from jobs.leases l where l.worker = of_worker and l.id = any (unknown) order by l.id for update
  loop
    perform jobs.complete_lease(held, (
      select jsonb_agg(jsonb_build_object('id', j.id, 'state', 'release')) from unnest(held.jobs) j));
    given_back := given_back + cardinality(held.jobs);
  end loop;
  return given_back;
end
$$;

-- Workers that have died while they had this job.
create function jobs.deaths_of(job jobs.ready) returns int
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select coalesce((job.options ->> 'deaths')::int, 0)
$$;

create function jobs.most_deaths() returns int
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select 5
$$;

-- Rescues the jobs of workers without a heartbeat since the given ones; returns how many. It is unknown which of them
-- had begun, so no attempt is counted: a job that never ran must not become dead by it. Jobs that kill their workers
-- are bounded by a count of their own.
create function jobs.rescue(silent uuid[], beats timestamptz[]) returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  held jobs.leases;
  rescued int := 0;
begin
  if not jobs.try_turn('rescue') then
    return 0;
  end if;
  delete from jobs.workers w using unnest(silent, beats) s (id, beat_at) where w.id = s.id and w.beat_at = s.beat_at;
  for held in
    select * from jobs.leases l where not exists (select from jobs.workers w where w.id = l.worker) order by l.id for update
  loop
    perform jobs.complete_lease(held, (
      select jsonb_agg(jsonb_build_object('id', j.id, 'lost', true, 'state', 'release',
        'error', format('its worker died (%s of at most %s times)', jobs.deaths_of(j) + 1, jobs.most_deaths())))
      from unnest(held.jobs) j));
    rescued := rescued + cardinality(held.jobs);
  end loop;
  return rescued;
end
$$;
