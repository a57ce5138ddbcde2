-- Functions for workers. Executable by members of rowhouse_owner only.

-- Returns jobs to jobs.ready: those with a key to their place among the jobs of that key, others to the end of their
-- partition.
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

-- Closes partitions of tenants without ready jobs, so that workers skip them; returns how many.
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
  if cardinality(idle) = 0 or not jobs.try_turn('close_idle_partitions') then
    return 0;
  end if;
  -- A transaction that may still add a job holds a lock from reading this table; then the next call closes them.
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

-- Attempts that a job may have.
create function jobs.attempts_of(job jobs.ready) returns int
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce((job.options ->> 'max_attempts')::int, k.max_attempts)
  from jobs.partitions p join jobs.kinds k on k.name = p.kind where p.id = job.partition
$$;

-- Moves due jobs to ready; returns how many.
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

-- `rate` a second means floor(rate) starts, at least one, in as many seconds as belong to that. The span is a little
-- longer, since fetched jobs start a little later.
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

-- The scope that a limit of a queue counts: a tenant's jobs, or those of one key of one tenant (or of none).
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

-- Takes ready jobs without a key from a partition, in order.
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
-- to key, so that the jobs of one key, however many, do not hide those of others. If there are more keys than it
-- checks, the next call continues after the last.
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

-- Where the next scan of a partition with very many keys begins.
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

-- Fetches within a queue's limits. Serialized over all processes, and running jobs are counted from the leases, so no
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
  -- A worker that was declared dead takes nothing until it has registered again.
  if not exists (select from jobs.workers w where w.id = by_worker) then
    return;
  end if;
  -- One claim at a time, so that what is running is counted once. Partitions of a queue without a row are not offered.
  select * into limits from jobs.queues q where q.name = of_queue for no key update;
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
