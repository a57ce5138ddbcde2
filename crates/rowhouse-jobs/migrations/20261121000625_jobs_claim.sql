-- Fetching and completing. The tables are empty at one time and long at another, and cached plans are used for both:
-- so they may only use indexes.

-- Takes up to `most` jobs, partition by partition in the order given, at most the quota of each; they become one lease. The join goes
-- through the partitions in order and stops at the limit, so no more rows are looked at than are taken. `cut`: more
-- jobs were left because of `most_bytes`.
create function jobs.claim(by_worker uuid, of_partitions int[], lows bigint[], quotas int[], kinds int[],
  kind_rooms bigint[], most bigint, most_bytes bigint, new_lease bigint)
returns table (lease bigint, partition int, "position" bigint, id bigint, enqueued_at timestamptz, attempt smallint, payload jsonb,
  options jsonb, cut boolean)
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
#variable_conflict use_column
begin
  return query
    with found as materialized (
      select l.place,
        coalesce(sum(l.bytes) over (order by l.nth rows between unbounded preceding and 1 preceding), 0) < most_bytes
          and row_number() over (partition by l.kind order by l.nth) <= kind_rooms[l.kind] as fits
      from (
        select r.place, r.bytes, wanted.kind, row_number() over () as nth
        -- in the select list, which is expanded row by row: in `from`, all would be stored before the first is looked at
        from (
          select unnest(of_partitions) as partition, unnest(lows) as low, unnest(quotas) as quota, unnest(kinds) as kind
        ) wanted
        cross join lateral (
          select w.ctid as place, coalesce(pg_column_size(w.payload), 0) as bytes from jobs.ready w
          where w.partition = wanted.partition and w.position >= wanted.low
          order by w.position limit wanted.quota for update skip locked
        ) r
        -- a worker that was declared dead takes nothing until it has registered again
        where exists (select from jobs.workers k where k.id = by_worker)
        limit most
      ) l
    ), gone as (
      delete from jobs.ready r where r.ctid = any (array(select f.place from found f where f.fits))
      returning r.partition, r.position, r.id, r.enqueued_at, r.attempt, r.payload, r.options
    ), lease as (
      insert into jobs.leases as l (id, worker, jobs)
      select new_lease, by_worker,
        array_agg(row(g.partition, g.position, g.id, g.enqueued_at, g.attempt, g.payload, g.options)::jobs.ready)
      from gone g
      -- for this transaction only
      having count(*) > 0 and set_config('synchronous_commit', 'off', true) is not null
      returning l.id
    )
    select e.id, g.partition, g.position, g.id, g.enqueued_at, g.attempt, g.payload, g.options,
      exists (select from found f where not f.fits)
    from lease e, gone g;
end
$$;

-- Completes whole leases whose jobs succeeded and returns them. A missing lease was lost to another worker, and
-- completes nothing.
create function jobs.complete_leases(by_worker uuid, of_leases bigint[]) returns setof bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
begin
  return query
    with gone as (
      delete from jobs.leases l where l.id = any (of_leases) and l.worker = by_worker returning l.id, l.jobs
    ), done as (
      insert into jobs.done (partition, partitions, ids)
      select case when min(j.partition) = max(j.partition) then min(j.partition) end,
        case when min(j.partition) <> max(j.partition) then array_agg(j.partition) end, array_agg(j.id)
      from gone g, unnest(g.jobs) j group by jobs.id_range(j.id)
    )
    select g.id from gone g;
end
$$;

-- Open partitions of these kinds that were opened after `after`: very many at first, mostly few and many times a second.
-- Compiling the statement would take as long as running it, and planning it anew longer. The subquery keeps the one plan
-- to the index on `opened`, whatever is known of the tables when it is made.
create function jobs.open_partitions(of_kinds text[], after bigint)
returns table (id int, queue text, kind text, tenant uuid, priority smallint, is_limited boolean, is_paused boolean,
  min_release text, opened bigint)
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
    select n.id, n.queue, n.kind, n.tenant, n.priority, q.is_limited or n.keyed,
      -- sets that are made once, instead of a look for each partition
      q.paused or coalesce(n.tenant in (select jobs.suspended_tenants()), false)
        or coalesce(n.tenant in (select p.tenant from jobs.pauses p where p.queue is null), false)
        or coalesce((n.tenant, n.queue) in (select p.tenant, p.queue from jobs.pauses p where p.queue is not null), false),
      k.min_release, n.opened
    from (select * from jobs.partitions a where a.opened > after order by a.opened offset 0) n
    join jobs.queues q on q.name = n.queue
    join jobs.kinds k on k.name = n.kind
    where n.kind = any (of_kinds)
    order by n.opened;
end
$$;
