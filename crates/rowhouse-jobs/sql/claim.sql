-- Takes up to $5 jobs, lane by lane in the order given, at most the quota of each; they become one lease. The join goes
-- through the lanes in order and stops at the limit, so no more rows are looked at than are taken.
with gone as (
  delete from jobs.ready
  where ctid = any (array(
    select r.ctid
    from unnest($2::int[], $3::bigint[], $4::int[]) wanted (lane, low, quota)
    cross join lateral (
      select w.ctid from jobs.ready w
      where w.lane = wanted.lane and w.position >= wanted.low
      order by w.position limit wanted.quota for update skip locked
    ) r
    -- who has been declared dead takes nothing more until it has noticed
    where exists (select from jobs.workers where id = $1)
    limit $5::bigint))
  returning lane, position, id, enqueued_at, attempt, payload, options
), lease as (
  insert into jobs.leases (id, worker, jobs)
  select $6, $1, array_agg(row(lane, position, id, enqueued_at, attempt, payload, options)::jobs.ready)
  from gone
  -- for this transaction only
  having count(*) > 0 and set_config('synchronous_commit', 'off', true) is not null
  returning id
)
select lease.id, gone.lane, gone.position, gone.id, gone.enqueued_at, gone.attempt, gone.payload, gone.options
from lease, gone
