-- What workers call. Only members of rowhouse_owner may.

-- Jobs as they go back to where they came from: those with a key to their place among the jobs of that key, others to the
-- end of their partition.
create function jobs.make_ready(back jobs.ready[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  is_old_snapshot constant boolean := current_setting('transaction_isolation') <> 'read committed';
begin
  perform jobs.open_partition(p.id) from jobs.partitions p
  where p.id in (select b.partition from unnest(back) b) and (p.opened is null or is_old_snapshot);
  insert into jobs.ready (partition, position, id, enqueued_at, attempt, payload, options)
  select j.partition, case when j.options ? 'key' then coalesce(j.position, nextval('jobs.positions')) else nextval('jobs.positions') end,
    j.id, j.enqueued_at, j.attempt, j.payload, j.options
  from unnest(back) j order by j.position;
end
$$;

-- Closes partitions of tenants in which nothing is ready, so that workers need not look into them; returns how many.
create function jobs.close_idle_partitions(most int) returns int
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  least_age constant interval := interval '1 minute';
  idle constant int[] := array(
    select p.id from jobs.partitions p
    where p.opened is not null and p.tenant is not null and p.opened_at < clock_timestamp() - least_age
      and not exists (select from jobs.ready r where r.partition = p.id)
    order by p.opened limit most);
  closed int;
begin
  if cardinality(idle) = 0 or not pg_try_advisory_xact_lock(hashtextextended('jobs.close_idle_partitions', 0)) then
    return 0;
  end if;
  -- Who may still add a job has read this table and not ended; then the next turn closes them.
  perform set_config('lock_timeout', '20ms', true);
  lock table jobs.partitions in access exclusive mode;
  update jobs.partitions p set opened = null
  where p.id = any (idle) and p.opened is not null and not exists (select from jobs.ready r where r.partition = p.id);
  get diagnostics closed = row_count;
  return closed;
exception when lock_not_available then
  return 0;
end
$$;

-- Runs a job may have.
create function jobs.attempts_of(job jobs.ready) returns int
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce((job.options ->> 'max_attempts')::int, k.max_attempts)
  from jobs.partitions p join jobs.kinds k on k.name = p.kind where p.id = job.partition
$$;

-- Moves what is due to ready; returns how many.
create function jobs.promote_due(most int) returns int
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
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

-- `rate` a second means floor(rate) starts, at least one, in as many seconds as belong to that. The span is a little longer,
-- for what is claimed begins a little later.
create function jobs.rate_span(rate double precision) returns interval
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select make_interval(secs => 1.02 * floor(greatest(rate, 1)) / rate + 0.05)
$$;

-- How many starts a rate leaves now.
create function jobs.starts_left(of_scope text, rate double precision) returns int
language sql stable set search_path = pg_catalog, pg_temp as $$
  select floor(greatest(rate, 1))::int - coalesce((
    select sum(u.starts)::int from jobs.recent_starts s, unnest(s.at, s.counts) u (at, starts)
    where s.scope = of_scope and u.at > clock_timestamp() - jobs.rate_span(rate)), 0)
$$;

create function jobs.record_starts(of_scope text, rate double precision, starts int) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  insert into jobs.recent_starts as s (scope, at, counts, last_at)
  values (of_scope, array[clock_timestamp()], array[starts], clock_timestamp())
  on conflict on constraint recent_starts_pkey do update set (at, counts, last_at) = (
    select array_agg(u.at) || clock_timestamp(), array_agg(u.starts) || record_starts.starts, clock_timestamp()
    from unnest(s.at, s.counts) u (at, starts) where u.at > clock_timestamp() - jobs.rate_span(rate))
$$;

-- What a limit of a queue counts: a tenant's jobs, and those of one key of one tenant (or of none).
create function jobs.tenant_scope(of_queue text, of_tenant uuid) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select 'tenant ' || of_queue || ' ' || of_tenant
$$;
create function jobs.key_scope(of_queue text, of_tenant uuid, key text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select 'key ' || of_queue || ' ' || coalesce(of_tenant::text, '-') || ' ' || key
$$;

-- How many of these jobs belong to each scope.
create function jobs.count_scopes(of_queue text, counted jobs.ready[]) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(jsonb_object_agg(c.scope, c.jobs), '{}')
  from (
    select s.scope, count(*) as jobs
    from unnest(counted) j
    join jobs.partitions p on p.id = j.partition
    cross join lateral (values (jobs.tenant_scope(of_queue, p.tenant)), (jobs.key_scope(of_queue, p.tenant, j.options ->> 'key'))) s (scope)
    where s.scope is not null group by 1
  ) c
$$;

create function jobs.add_counts(a jsonb, b jsonb) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select a || coalesce((select jsonb_object_agg(e.key, e.value::int + coalesce((a ->> e.key)::int, 0)) from jsonb_each_text(b) e), '{}')
$$;

-- Takes ready jobs without a key from a partition, first come first served.
create function jobs.take_plain(from_partition int, most int, most_bytes bigint) returns jobs.ready[]
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  taken jobs.ready[];
begin
  with gone as (
    delete from jobs.ready r where r.ctid = any (array(
      select f.place from (
        select l.place, sum(l.bytes) over (rows between unbounded preceding and 1 preceding) as before
        from (
          select w.ctid as place, coalesce(pg_column_size(w.payload), 0) as bytes from jobs.ready w
          where w.partition = from_partition order by w.position limit most for update skip locked
        ) l
      ) f
      where coalesce(f.before, 0) < most_bytes))
    returning r.partition, r.position, r.id, r.enqueued_at, r.attempt, r.payload, r.options
  )
  select coalesce(array_agg(row(gone.*)::jobs.ready order by gone.position), '{}') into taken from gone;
  return taken;
end
$$;

-- Takes ready jobs with keys from a partition: of each key as many as it may still run, the oldest first. It steps from key
-- to key, so that the jobs of one key, however many, do not hide those of others. Where there are more keys than it looks
-- at, the next call goes on behind the last.
create function jobs.take_keyed(in_partition jobs.partitions, limits jobs.queues, running jsonb, most int, most_bytes bigint)
returns jobs.ready[]
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
declare
  most_keys constant int := 2000;
  seen int;
  last_key text;
  taken jobs.ready[];
  begin_after text := (select c.key from jobs.key_cursors c where c.partition = in_partition.id);
begin
  with recursive heads (key, place) as (
    (select r.options ->> 'key', 1 from jobs.ready r
     where r.partition = in_partition.id and r.options ? 'key' and r.options ->> 'key' > coalesce(begin_after, '')
     order by r.options ->> 'key', r.position limit 1)
    union all
    select n.key, h.place + 1 from heads h cross join lateral (
      select r.options ->> 'key' as key from jobs.ready r
      where r.partition = in_partition.id and r.options ? 'key' and r.options ->> 'key' > h.key
      order by r.options ->> 'key', r.position limit 1) n
    where h.place < most_keys
  ), open as (
    select h.key, least(
      limits.key_concurrency - coalesce((running ->> jobs.key_scope(limits.name, in_partition.tenant, h.key))::int, 0),
      case when limits.key_rate is null then most
        else jobs.starts_left(jobs.key_scope(limits.name, in_partition.tenant, h.key), limits.key_rate) end) as room
    from heads h
  ), found as (
    select f.place, f.bytes, f.position from open o cross join lateral (
      select r.ctid as place, coalesce(pg_column_size(r.payload), 0) as bytes, r.position from jobs.ready r
      where r.partition = in_partition.id and r.options ? 'key' and r.options ->> 'key' = o.key
      order by r.position limit greatest(o.room, 0)) f
    order by f.position limit most
  ), fitting as (
    select f.place, sum(f.bytes) over (order by f.position rows between unbounded preceding and 1 preceding) as before from found f
  ), gone as (
    delete from jobs.ready r where r.ctid = any (array(select f.place from fitting f where coalesce(f.before, 0) < most_bytes))
    returning r.partition, r.position, r.id, r.enqueued_at, r.attempt, r.payload, r.options
  )
  select (select coalesce(array_agg(row(gone.*)::jobs.ready order by gone.position), '{}') from gone),
    (select count(*) from heads), (select max(h.key) from heads h)
  into taken, seen, last_key;
  perform jobs.move_key_cursor(in_partition.id, begin_after, case when seen >= most_keys then last_key end);
  perform jobs.record_starts(jobs.key_scope(limits.name, in_partition.tenant, k.key), limits.key_rate, k.starts)
  from (select t.options ->> 'key' as key, count(*)::int as starts from unnest(taken) t group by 1) k
  where limits.key_rate is not null;
  return taken;
end
$$;

-- Where the next look at a partition of very many keys begins.
create table jobs.key_cursors (
  partition int not null,
  key text not null,
  constraint key_cursors_pkey primary key (partition)
);
alter table jobs.key_cursors enable row level security;
alter table jobs.key_cursors force row level security;
create policy owner_all on jobs.key_cursors to rowhouse_owner using (true) with check (true);

create function jobs.move_key_cursor(of_partition int, old text, new text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if new is not null then
    insert into jobs.key_cursors as c (partition, key) values (of_partition, new)
    on conflict on constraint key_cursors_pkey do update set key = excluded.key;
  elsif old is not null then
    delete from jobs.key_cursors c where c.partition = of_partition;
  end if;
end
$$;

-- Claims within a queue's limits. One at a time over all processes, and running jobs are counted from the leases, so no
-- limit is ever exceeded. Partitions are tried in the order given, each for at most its quota.
create function jobs.claim_limited(by_worker uuid, of_queue text, of_partitions int[], quotas int[], most int,
  most_bytes bigint, new_lease bigint)
returns table (lease bigint, partition int, "position" bigint, id bigint, enqueued_at timestamptz, attempt smallint, payload jsonb, options jsonb)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  limits jobs.queues;
  in_partition jobs.partitions;
  running jobs.ready[];
  counts jsonb;
  taken jobs.ready[] := '{}';
  part jobs.ready[];
  room int;
  bytes bigint := 0;
  partition_room int;
begin
  -- Who has been declared dead takes nothing more until it has noticed.
  if not exists (select from jobs.workers w where w.id = by_worker) then
    return;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('jobs.claim.' || of_queue, 0));
  select * into limits from jobs.queues q where q.name = of_queue;
  select coalesce(array_agg(j), '{}') into running from jobs.leases l, unnest(l.jobs) j where l.queue = of_queue;
  room := least(most, limits.concurrency - cardinality(running));
  if limits.rate is not null then
    room := least(room, jobs.starts_left('queue ' || of_queue, limits.rate));
  end if;
  counts := jobs.count_scopes(of_queue, running);
  for place in 1 .. cardinality(of_partitions) loop
    exit when room <= 0 or bytes >= most_bytes;
    select * into in_partition from jobs.partitions n where n.id = of_partitions[place];
    continue when not found;
    partition_room := least(room, quotas[place], jobs.tenant_room(limits, in_partition.tenant, counts));
    continue when partition_room <= 0;
    if in_partition.keyed then
      part := jobs.take_keyed(in_partition, limits, counts, partition_room, most_bytes - bytes);
    else
      part := jobs.take_plain(in_partition.id, partition_room, most_bytes - bytes);
    end if;
    continue when cardinality(part) = 0;
    if limits.tenant_rate is not null and in_partition.tenant is not null then
      perform jobs.record_starts(jobs.tenant_scope(of_queue, in_partition.tenant), limits.tenant_rate, cardinality(part));
    end if;
    room := room - cardinality(part);
    bytes := bytes + (select coalesce(sum(pg_column_size(p.payload)), 0) from unnest(part) p);
    counts := jobs.add_counts(counts, jobs.count_scopes(of_queue, part));
    taken := taken || part;
  end loop;
  if cardinality(taken) = 0 then
    return;
  end if;
  if limits.rate is not null then
    perform jobs.record_starts('queue ' || of_queue, limits.rate, cardinality(taken));
  end if;
  insert into jobs.leases (id, worker, queue, jobs) values (new_lease, by_worker, of_queue, taken);
  return query
    select new_lease, t.partition, t.position, t.id, t.enqueued_at, t.attempt, t.payload, t.options from unnest(taken) t;
end
$$;

-- How many more jobs of a tenant a queue's limits allow; null is no limit.
create function jobs.tenant_room(limits jobs.queues, of_tenant uuid, counts jsonb) returns int
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when of_tenant is not null then least(
    limits.tenant_concurrency - coalesce((counts ->> jobs.tenant_scope(limits.name, of_tenant))::int, 0),
    case when limits.tenant_rate is not null then jobs.starts_left(jobs.tenant_scope(limits.name, of_tenant), limits.tenant_rate) end) end
$$;

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

-- Counts `ended` children of a waiting job, and lets it go when the last has ended, or die with the first that failed. The
-- mark failed_by_child lets it come back with a child that is run again.
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

-- What ends together with a job: its unique key, the wish to cancel it, its parent's waiting.
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

-- Gives the jobs of workers that have not beaten since those beats to others; returns how many. Nobody knows which of
-- them had begun, so that this costs no attempt: a job that never ran must not die of it. A job that kills its workers is stopped by
-- a count of its own.
create function jobs.rescue(silent uuid[], beats timestamptz[]) returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
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
      select jsonb_agg(jsonb_build_object('id', j.id, 'lost', true, 'state', 'release',
        'error', format('its worker died (%s of at most %s times)', jobs.deaths_of(j) + 1, jobs.most_deaths())))
      from unnest(held.jobs) j));
    rescued := rescued + cardinality(held.jobs);
  end loop;
  return rescued;
end
$$;

-- One look for a job to be stopped; see jobs.cancel.
create function jobs.try_cancel(job_id bigint) returns text
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
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
language plpgsql set search_path = pg_catalog, pg_temp as $$
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

-- Numbers of dead jobs that belong together: a parent that died of a child comes back with the child, and such a parent's
-- dead children with it.
create function jobs.dead_family(ids bigint[]) returns bigint[]
language sql stable set search_path = pg_catalog, pg_temp as $$
  with recursive family (id) as (
    select unnest(ids)
    union
    select r.id from family f join jobs.dead d on d.id = f.id cross join lateral (
      select p.id from jobs.dead p
      where p.id = ((d.job).options ->> 'parent')::bigint and (p.job).options ? 'failed_by_child'
      union all
      select c.id from jobs.dead c
      where (d.job).options ? 'failed_by_child' and c.state = 'dead' and (c.job).options ? 'parent'
        and (c.job).options ->> 'parent' = d.id::text) r
  )
  select array_agg(f.id) from family f
$$;

-- Children of a job that have not ended.
create function jobs.live_children(of_parent bigint) returns int
language sql stable set search_path = pg_catalog, pg_temp as $$
  select (
    (select count(*) from jobs.ready r where r.options ? 'parent' and r.options ->> 'parent' = of_parent::text)
    + (select count(*) from jobs.scheduled s where (s.job).options ? 'parent' and (s.job).options ->> 'parent' = of_parent::text)
    + (select count(*) from jobs.waiting w where (w.job).options ? 'parent' and (w.job).options ->> 'parent' = of_parent::text)
    + (select count(*) from jobs.leases l, unnest(l.jobs) j where j.options ->> 'parent' = of_parent::text))::int
$$;

-- Gives dead or cancelled jobs, and the dead of their families, a new life with all their attempts; returns how many. One
-- whose unique key a live job has by now stays dead.
create function jobs.redrive(ids bigint[]) returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  family constant bigint[] := jobs.dead_family(ids);
  back jobs.ready[];
begin
  perform from jobs.dead d where d.id = any (family) order by d.id for update;
  with keyed as (
    insert into jobs.unique_keys (key, id)
    select (d.job).options ->> 'unique_key', d.id from jobs.dead d where d.id = any (family) and (d.job).options ? 'unique_key'
    order by d.id
    on conflict on constraint unique_keys_pkey do nothing returning id
  ), gone as (
    delete from jobs.dead d
    where d.id = any (family) and (not coalesce((d.job).options ? 'unique_key', false) or d.id in (select k.id from keyed k))
    returning d.job
  )
  select array_agg(row((g.job).partition, null, (g.job).id, clock_timestamp(), 0, (g.job).payload,
    (g.job).options - '{deaths,failed_by_child}'::text[])::jobs.ready order by (g.job).id)
  into back from gone g;
  if back is null then
    return 0;
  end if;
  perform jobs.bring_back(back);
  return cardinality(back);
end
$$;

-- Parents among these wait for their children again, the others are ready; parents that wait already wait for these too.
create function jobs.bring_back(back jobs.ready[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  parents jobs.ready[];
begin
  update jobs.waiting w set remaining = w.remaining + c.children
  from (select (j.options ->> 'parent')::bigint as parent, count(*)::int as children
    from unnest(back) j where j.options ? 'parent' group by 1) c
  where w.id = c.parent;
  with counted as (
    select j, jobs.live_children(j.id)
      + (select count(*)::int from unnest(back) c where c.options ->> 'parent' = j.id::text) as children
    from unnest(back) j
  ), waiting as (
    insert into jobs.waiting (id, job, remaining, on_failure)
    select (c.j).id, c.j, c.children, coalesce((c.j).options ->> 'on_failure', 'fail') from counted c where c.children > 0
  )
  select array_agg(c.j) filter (where c.children = 0) into parents from counted c;
  perform jobs.make_ready(parents) where parents is not null;
end
$$;

-- The next dead jobs of a queue and kind (null: of all) that died before `until`, numbered above `after_id`: how many were
-- run again, and the last number looked at; null once there are none.
create function jobs.redrive_some(of_queue text, of_kind text, after_id bigint, until timestamptz, most int)
returns table (moved int, last_id bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  ids bigint[];
begin
  if of_queue is not null then
    perform jobs.require_queue(of_queue);
  end if;
  select array_agg(x.id) into ids from (
    select d.id from jobs.dead d join jobs.partitions p on p.id = (d.job).partition
    where d.state = 'dead' and d.id > after_id and d.died_at <= until
      and (of_queue is null or p.queue = of_queue) and (of_kind is null or p.kind = of_kind)
    order by d.id limit most) x;
  return query select coalesce(jobs.redrive(ids), 0), (select max(i) from unnest(ids) i) where ids is not null;
end
$$;
