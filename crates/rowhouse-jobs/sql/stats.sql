-- Counts by state, per queue and kind. Each partition's jobs are counted up to $1, which bounds the cost.
with ready as (
  select n.id as partition, c.jobs, o.enqueued_at
  from jobs.partitions n
  cross join lateral (select count(*) as jobs from (select from jobs.ready r where r.partition = n.id limit $1::bigint) r) c
  left join lateral (
    select r.enqueued_at from jobs.ready r where r.partition = n.id order by r.position limit 1) o on true
), scheduled as (
  select (s.job).partition as partition, count(*) as jobs, count(*) filter (where (s.job).attempt > 0) as failed
  from (select s.job from jobs.scheduled s limit $1) s group by 1
), waiting as (
  select (w.job).partition as partition, count(*) as jobs from (select w.job from jobs.waiting w limit $1) w group by 1
), running as (
  select j.partition, count(*) as jobs from jobs.leases l, unnest(l.jobs) j group by 1
), dead as (
  select (d.job).partition as partition, count(*) as jobs
  from (select d.job from jobs.dead d where d.state = 'dead' limit $1) d group by 1
), latest as (
  select d.partition, d.partitions, cardinality(d.ids) as jobs
  from (select * from jobs.done d order by d.id desc limit $1) d
  where d.finished_at > clock_timestamp() - interval '1 minute'
), done as (
  select e.partition, sum(e.jobs) as jobs
  from (
    select l.partition, l.jobs from latest l where l.partition is not null
    union all
    select p, 1 from latest l, unnest(l.partitions) p
  ) e
  group by 1
)
select jsonb_build_object('queue', n.queue, 'kind', n.kind,
  'paused', bool_or(q.paused),
  'ready', sum(coalesce(ready.jobs, 0)),
  'oldest_ready_seconds', extract(epoch from clock_timestamp() - min(ready.enqueued_at))::float8,
  'scheduled', sum(coalesce(scheduled.jobs, 0)), 'retrying', sum(coalesce(scheduled.failed, 0)),
  'waiting', sum(coalesce(waiting.jobs, 0)), 'running', sum(coalesce(running.jobs, 0)),
  'dead', sum(coalesce(dead.jobs, 0)), 'done_per_minute', sum(coalesce(done.jobs, 0)))
from jobs.partitions n
join jobs.queues q on q.name = n.queue
left join ready on ready.partition = n.id
left join scheduled on scheduled.partition = n.id
left join waiting on waiting.partition = n.id
left join running on running.partition = n.id
left join dead on dead.partition = n.id
left join done on done.partition = n.id
group by n.queue, n.kind
order by n.queue, n.kind
