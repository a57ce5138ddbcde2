-- Cancelling jobs, and retrying dead ones. Executable by members of rowhouse_owner only.

-- One attempt to find and cancel a job; see jobs.cancel.
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
  -- Locked, so that the run cannot end before the cancellation is visible.
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

-- Cancels a job. Returns cancelled, cancelling (it runs; its worker is notified), finished, dead, or null if there is
-- no job with this id.
create function jobs.cancel(job_id bigint) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  outcome text;
begin
  -- A job that moves between tables meanwhile is found by the next attempt.
  for look in 1 .. 3 loop
    outcome := jobs.try_cancel(job_id);
    exit when outcome is not null;
  end loop;
  return outcome;
end
$$;

-- Ids of dead jobs that are retried together: a parent that failed by a child with the child, and such a parent's
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

-- Retries dead or cancelled jobs, and the dead of their families, with all their attempts; returns how many. One
-- whose unique key is used by another job now stays dead.
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

-- Retries the next dead jobs of a queue and kind (null: of all) that died before `until`, with ids above `after_id`:
-- returns how many, and the last id; null once there are none.
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
