-- A page of jobs, highest number first: $1 state, $2 queue, $3 kind, $4 tenant, $5 numbers below this, $6 how many.
-- Done jobs are searched in the latest thousand rows only, so that the cost of a page is bounded.
with wanted as materialized (
  select n.id, n.queue, n.kind, n.tenant, n.priority from jobs.partitions n
  where ($2::text is null or n.queue = $2) and ($3::text is null or n.kind = $3) and ($4::uuid is null or n.tenant = $4)
), found (state, id, partition, enqueued_at, attempts, at, error) as (
  (select 'ready', r.id, r.partition, r.enqueued_at, r.attempt::int, null::timestamptz, null::text
   from jobs.ready r
   where coalesce($1::text, 'ready') = 'ready' and r.partition in (select w.id from wanted w) and r.id < $5::bigint
   order by r.id desc limit $6::bigint)
  union all
  (select 'scheduled', s.id, (s.job).partition, (s.job).enqueued_at, (s.job).attempt, s.run_at, null
   from jobs.scheduled s
   where coalesce($1, 'scheduled') = 'scheduled' and (s.job).partition in (select w.id from wanted w) and s.id < $5
   order by s.id desc limit $6)
  union all
  (select 'waiting', p.id, (p.job).partition, (p.job).enqueued_at, (p.job).attempt, null, null
   from jobs.waiting p
   where coalesce($1, 'waiting') = 'waiting' and (p.job).partition in (select w.id from wanted w) and p.id < $5
   order by p.id desc limit $6)
  union all
  (select 'running', j.id, j.partition, j.enqueued_at, j.attempt + 1, l.taken_at, null
   from jobs.leases l, unnest(l.jobs) j
   where coalesce($1, 'running') = 'running' and j.partition in (select w.id from wanted w) and j.id < $5
   order by j.id desc limit $6)
  union all
  (select d.state, d.id, (d.job).partition, (d.job).enqueued_at, (d.job).attempt, d.died_at, d.error
   from jobs.dead d
   where coalesce($1, d.state) = d.state and (d.job).partition in (select w.id from wanted w) and d.id < $5
   order by d.id desc limit $6)
  union all
  (select 'done', j.id, coalesce(d.partition, j.partition), null, null, d.finished_at, null
   from (select * from jobs.done order by done.id desc limit 1000) d, unnest(d.ids, d.partitions) j (id, partition)
   where coalesce($1, 'done') = 'done' and coalesce(d.partition, j.partition) in (select w.id from wanted w) and j.id < $5
   order by j.id desc limit $6)
)
select jsonb_build_object('id', f.id, 'state', f.state, 'queue', w.queue, 'kind', w.kind, 'tenant', w.tenant,
  'priority', w.priority, 'enqueued_at', f.enqueued_at, 'attempts', f.attempts, 'at', f.at, 'error', f.error)
from found f join wanted w on w.id = f.partition
order by f.id desc limit $6
