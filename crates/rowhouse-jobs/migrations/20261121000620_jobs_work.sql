-- What workers call. Only members of rowhouse_owner may.

-- A job as it goes back to where it came from: at the end of its partition.
create function jobs.make_ready(back jobs.ready[]) returns void
language sql set search_path = '' as $$
  insert into jobs.ready (partition, id, enqueued_at, attempt, payload, options)
  select j.partition, j.id, j.enqueued_at, j.attempt, j.payload, j.options from unnest(back) j order by j.position
$$;

-- Runs a job may have.
create function jobs.attempts_of(job jobs.ready) returns int
language sql stable set search_path = '' as $$
  select coalesce((job.options ->> 'max_attempts')::int, k.max_attempts)
  from jobs.partitions l join jobs.kinds k on k.name = l.kind where l.id = job.partition
$$;

-- Moves what is due to ready; returns how many.
create function jobs.promote_due(most int) returns int
language plpgsql set search_path = '' set enable_seqscan = off set jit = off as $$
declare
  due jobs.ready[];
begin
  with gone as (
    delete from jobs.scheduled
    where id = any (array(
      select s.id from jobs.scheduled s where s.run_at <= clock_timestamp() order by s.run_at limit most
      for update skip locked))
    returning job
  )
  select array_agg(gone.job) into due from gone;
  perform jobs.make_ready(due) where due is not null;
  return coalesce(cardinality(due), 0);
end
$$;

-- Whole tokens in a bucket of `rate` a second, which holds one second's worth and at least one.
create function jobs.tokens(of_scope text, rate double precision) returns int
language sql stable set search_path = '' as $$
  select coalesce(
    (select floor(least(greatest(rate, 1), b.tokens + rate * extract(epoch from clock_timestamp() - b.at)))::int
     from jobs.buckets b where b.scope = of_scope),
    floor(greatest(rate, 1))::int)
$$;

create function jobs.spend(of_scope text, rate double precision, spent int) returns void
language sql set search_path = '' as $$
  insert into jobs.buckets as b (scope, tokens, at) values (of_scope, greatest(rate, 1) - spent, clock_timestamp())
  on conflict on constraint buckets_pkey do update
  set tokens = least(greatest(rate, 1), b.tokens + rate * extract(epoch from clock_timestamp() - b.at)) - spent,
      at = clock_timestamp()
$$;

-- Claims within a queue's limits. One at a time over all processes, and running jobs are counted from the leases, so no
-- limit is ever exceeded. Partitions are tried in the order given, each for at most its quota.
create function jobs.claim_limited(by_worker uuid, of_queue text, of_partitions int[], quotas int[], most int,
  most_bytes bigint, new_lease bigint)
returns table (lease bigint, partition int, "position" bigint, id bigint, enqueued_at timestamptz, attempt smallint, payload jsonb, options jsonb)
language plpgsql set search_path = '' as $$
#variable_conflict use_column
declare
  limits jobs.queues;
  in_partition jobs.partitions;
  candidate jobs.ready;
  taken jobs.ready[] := '{}';
  part jobs.ready[];
  room int;
  bytes bigint := 0;
  partition_room int;
  of_tenant int;
  of_key int;
  this_key text;
  key_scope text;
begin
  -- Who has been declared dead takes nothing more until it has noticed.
  if not exists (select from jobs.workers w where w.id = by_worker) then
    return;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('jobs.claim.' || of_queue, 0));
  select * into limits from jobs.queues q where q.name = of_queue;
  select least(most, limits.concurrency - coalesce(sum(cardinality(l.jobs)), 0)) into room
  from jobs.leases l where l.queue = of_queue;
  if limits.rate is not null then
    room := least(room, jobs.tokens('queue ' || of_queue, limits.rate));
  end if;
  for place in 1 .. cardinality(of_partitions) loop
    exit when room <= 0 or bytes >= most_bytes;
    select * into in_partition from jobs.partitions n where n.id = of_partitions[place];
    partition_room := least(room, quotas[place]);
    if limits.tenant_concurrency is not null and in_partition.tenant is not null then
      select count(*) into of_tenant from (
        select j.partition from jobs.leases l, unnest(l.jobs) j where l.queue = of_queue
        union all select t.partition from unnest(taken) t) running
      join jobs.partitions n on n.id = running.partition where n.tenant = in_partition.tenant;
      partition_room := least(partition_room, limits.tenant_concurrency - of_tenant);
    end if;
    if limits.tenant_rate is not null and in_partition.tenant is not null then
      partition_room := least(partition_room, jobs.tokens('tenant ' || of_queue || ' ' || in_partition.tenant, limits.tenant_rate));
    end if;
    continue when partition_room <= 0;
    part := '{}';
    if in_partition.keyed then
      for candidate in
        select r.* from jobs.ready r where r.partition = in_partition.id order by r.position limit partition_room + 1000 for update skip locked
      loop
        this_key := candidate.options ->> 'key';
        key_scope := 'key ' || of_queue || ' ' || coalesce(in_partition.tenant || ' ', '') || this_key;
        select count(*) into of_key from (
          select j.partition, j.options from jobs.leases l, unnest(l.jobs) j where l.queue = of_queue
          union all select t.partition, t.options from unnest(taken || part) t) running
        join jobs.partitions n on n.id = running.partition
        where running.options ->> 'key' = this_key and n.tenant is not distinct from in_partition.tenant;
        continue when of_key >= limits.key_concurrency;
        if limits.key_rate is not null then
          continue when jobs.tokens(key_scope, limits.key_rate) < 1;
          perform jobs.spend(key_scope, limits.key_rate, 1);
        end if;
        delete from jobs.ready r where r.partition = candidate.partition and r.position = candidate.position;
        part := part || candidate;
        bytes := bytes + coalesce(pg_column_size(candidate.payload), 0);
        exit when cardinality(part) >= partition_room or bytes >= most_bytes;
      end loop;
    else
      with gone as (
        delete from jobs.ready r where r.ctid = any (array(
          select f.place from (
            select l.place, sum(l.bytes) over (rows between unbounded preceding and 1 preceding) as before
            from (
              select w.ctid as place, coalesce(pg_column_size(w.payload), 0) as bytes from jobs.ready w
              where w.partition = in_partition.id order by w.position limit partition_room for update skip locked
            ) l
          ) f
          where coalesce(f.before, 0) + bytes < most_bytes))
        returning r.partition, r.position, r.id, r.enqueued_at, r.attempt, r.payload, r.options
      )
      select coalesce(array_agg(row(gone.*)::jobs.ready order by gone.position), '{}') into part from gone;
    end if;
    if cardinality(part) > 0 and limits.tenant_rate is not null and in_partition.tenant is not null then
      perform jobs.spend('tenant ' || of_queue || ' ' || in_partition.tenant, limits.tenant_rate, cardinality(part));
    end if;
    room := room - cardinality(part);
    if not in_partition.keyed then
      bytes := bytes + (select coalesce(sum(pg_column_size(p.payload)), 0) from unnest(part) p);
    end if;
    taken := taken || part;
  end loop;
  if cardinality(taken) = 0 then
    return;
  end if;
  if limits.rate is not null then
    perform jobs.spend('queue ' || of_queue, limits.rate, cardinality(taken));
  end if;
  insert into jobs.leases (id, worker, queue, jobs) values (new_lease, by_worker, of_queue, taken);
  return query
    select new_lease, t.partition, t.position, t.id, t.enqueued_at, t.attempt, t.payload, t.options from unnest(taken) t;
end
$$;

-- Ends runs. `outcomes` is [{"lease": 7, "id": 1, "state": "done", "result": …}, {"id": 2, "state": "retry", "after": 2.5,
-- "error": …}, {"id": 3, "state": "dead" or "cancelled", "error": …}, {"id": 4, "state": "release"}]; `release` gives a job
-- back that has not begun. With "lost": true its worker died, and the run does not count. Without "lease", whichever lease of this worker has the job. Returns the ids that were
-- completed; the worker has lost the others and must not report them again.
create function jobs.complete(by_worker uuid, outcomes jsonb) returns bigint[]
language plpgsql set search_path = '' set enable_seqscan = off set jit = off as $$
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

-- Counts `ended` children of a waiting job, and lets it go when the last has ended, or die with the first that failed.
create function jobs.end_children(of_parent bigint, ended int, failed int) returns void
language plpgsql set search_path = '' as $$
declare
  parent jobs.waiting;
begin
  update jobs.waiting w set remaining = greatest(w.remaining - ended, 0) where w.id = of_parent returning * into parent;
  if not found then
    return;
  end if;
  if failed > 0 and parent.on_failure = 'fail' then
    delete from jobs.waiting w where w.id = of_parent;
    insert into jobs.dead (id, state, error, job) values (of_parent, 'dead', 'a child job failed', parent.job);
    perform jobs.end_children(((parent.job).options ->> 'parent')::bigint, 1, 1) where (parent.job).options ? 'parent';
  elsif parent.remaining = 0 then
    delete from jobs.waiting w where w.id = of_parent;
    perform jobs.make_ready(array[parent.job]);
  end if;
end
$$;

-- What ends together with a job: its unique key, the wish to cancel it, its parent's waiting.
create function jobs.end_jobs(ended jobs.ready[], failed boolean) returns void
language plpgsql set search_path = '' as $$
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

-- The part of jobs.complete for one lease, which the caller has locked. It keeps its number until its last job has ended.
create function jobs.complete_lease(held jobs.leases, outcomes jsonb) returns bigint[]
language plpgsql set search_path = '' as $$
declare
  completed bigint[];
  well jobs.ready[];
  badly jobs.ready[];
  released jobs.ready[];
  rest jobs.ready[];
begin
  with told as materialized (
    select j as job, j.id, o.result, o.after,
      case when c.id is null or o.state not in ('retry', 'release') then o.state else 'cancelled' end as state,
      case when c.id is not null and o.state = 'release' then 'cancelled before it ran' else left(o.error, 10000) end as error,
      row(j.partition, j.position, j.id, j.enqueued_at, j.attempt + (not coalesce(o.lost, false))::int, j.payload,
        case when o.lost then coalesce(j.options, '{}') || jsonb_build_object('deaths', jobs.deaths_of(j) + 1)
          else j.options end)::jobs.ready as after_run
    from unnest(held.jobs) j
    join jsonb_to_recordset(outcomes) o (id bigint, state text, result jsonb, after double precision, error text, lost boolean) on o.id = j.id
    left join jobs.cancellations c on c.id = j.id
  ), results as (
    insert into jobs.results as r (id, result)
    select t.id, t.result from told t where t.state = 'done' and jsonb_typeof(t.result) <> 'null'
    on conflict on constraint results_pkey do update set result = excluded.result, finished_at = excluded.finished_at
  ), again as (
    insert into jobs.scheduled (run_at, job)
    select clock_timestamp() + make_interval(secs => least(greatest(t.after, 0), 31536000)), t.after_run
    from told t where t.state = 'retry'
  ), lines as (
    insert into jobs.log (id, attempt, line)
    select t.id, (t.after_run).attempt, t.error from told t where t.error is not null and t.state <> 'release'
  ), deaths as (
    insert into jobs.dead (id, state, error, job)
    select t.id, t.state, coalesce(t.error, ''), t.after_run from told t where t.state in ('dead', 'cancelled')
  )
  select coalesce(array_agg(t.id), '{}'), array_agg(t.job) filter (where t.state = 'done'),
    array_agg(t.job) filter (where t.state in ('dead', 'cancelled')), array_agg(t.job) filter (where t.state = 'release')
  into completed, well, badly, released from told t;
  if well is not null then
    insert into jobs.done (partition, ids) select j.partition, array_agg(j.id) from unnest(well) j group by j.partition, jobs.id_range(j.id);
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

-- Gives back leases that their worker knows nothing of: the claim was committed, and its answer never arrived.
create function jobs.release_leases(of_worker uuid, unknown bigint[]) returns int
language plpgsql set search_path = '' as $$
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
language sql immutable set search_path = '' as $$
  select coalesce((job.options ->> 'deaths')::int, 0)
$$;

-- Gives the jobs of workers that have not beaten since those beats to others; returns how many. Nobody knows which of
-- them had begun, so that this costs no attempt: a job that never ran must not die of it. A job that kills its workers is stopped by
-- a count of its own.
create function jobs.rescue(silent uuid[], beats timestamptz[]) returns int
language plpgsql set search_path = '' as $$
declare
  most_deaths constant int := 5;
  held jobs.leases;
  rescued int := 0;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('jobs.rescue', 0)) then
    return 0;
  end if;
  delete from jobs.workers w using unnest(silent, beats) s (id, beat_at) where w.id = s.id and w.beat_at = s.beat_at;
  for held in
    select * from jobs.leases l where not exists (select from jobs.workers w where w.id = l.worker) order by l.id for update
  loop
    perform jobs.complete_lease(held, (
      select jsonb_agg(jsonb_build_object('id', j.id, 'lost', true, 'after', 0,
        'state', case when jobs.deaths_of(j) + 1 < most_deaths then 'retry' else 'dead' end,
        'error', format('its worker died (%s of at most %s times)', jobs.deaths_of(j) + 1, most_deaths)))
      from unnest(held.jobs) j));
    rescued := rescued + cardinality(held.jobs);
  end loop;
  return rescued;
end
$$;

-- One look for a job to be stopped; see jobs.cancel.
create function jobs.try_cancel(job_id bigint) returns text
language plpgsql set search_path = '' as $$
declare
  gone jobs.ready;
begin
  delete from jobs.ready r where r.id = job_id
  returning r.partition, r.position, r.id, r.enqueued_at, r.attempt, r.payload, r.options into gone;
  if gone.id is null then
    delete from jobs.scheduled s where s.id = job_id returning (s.job).* into gone;
  end if;
  if gone.id is null then
    delete from jobs.waiting w where w.id = job_id returning (w.job).* into gone;
  end if;
  if gone.id is not null then
    insert into jobs.dead (id, state, error, job) values (job_id, 'cancelled', 'cancelled before it ran', gone);
    perform jobs.end_jobs(array[gone], true);
    return 'cancelled';
  end if;
  -- Locked, so that the run cannot end before it can be seen that nobody wants it.
  perform from jobs.leases l where exists (select from unnest(l.jobs) j where j.id = job_id) for update;
  if found then
    insert into jobs.cancellations (id) values (job_id) on conflict do nothing;
    perform pg_notify('rowhouse_jobs', 'cancel');
    return 'cancelling';
  end if;
  return (
    select case when d.state = 'cancelled' then 'cancelled' else 'dead' end from jobs.dead d where d.id = job_id
    union all
    select 'finished' from jobs.done d where jobs.id_range(d.ids[1]) = jobs.id_range(job_id) and job_id = any (d.ids)
    limit 1);
end
$$;

-- Stops a job. Returns what became of it: cancelled, cancelling (it runs; its worker is told), finished, dead, or null if
-- there is none of this id.
create function jobs.cancel(job_id bigint) returns text
language plpgsql set search_path = '' as $$
declare
  outcome text;
begin
  -- A job that moves from one table to another while we look is found by the next look.
  for look in 1 .. 3 loop
    outcome := jobs.try_cancel(job_id);
    exit when outcome is not null;
  end loop;
  return outcome;
end
$$;

-- Gives a dead or cancelled job a new life, with all its attempts; false if there is none of this id. Null: all dead ones
-- of the queue and kind (null: of all), and how many.
create function jobs.redrive(job_id bigint, of_queue text default null, of_kind text default null) returns int
language plpgsql set search_path = '' as $$
declare
  back jobs.ready[];
begin
  with gone as (
    delete from jobs.dead d
    where d.id = any (case when job_id is not null then array[job_id] else array(
      select x.id from jobs.dead x join jobs.partitions n on n.id = (x.job).partition
      where x.state = 'dead' and (of_queue is null or n.queue = of_queue) and (of_kind is null or n.kind = of_kind)) end)
    returning d.job
  )
  select array_agg(row((g.job).partition, (g.job).position, (g.job).id, clock_timestamp(), 0, (g.job).payload, (g.job).options - '{parent,deaths}'::text[])::jobs.ready)
  into back from gone g;
  perform jobs.make_ready(back) where back is not null;
  return coalesce(cardinality(back), 0);
end
$$;
