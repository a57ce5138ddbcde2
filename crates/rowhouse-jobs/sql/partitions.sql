-- Open partitions of the kinds that a worker knows.
select n.id, n.queue, n.kind, n.tenant, n.priority, q.is_limited or n.keyed,
  q.paused or coalesce(n.tenant in (select jobs.suspended_tenants()), false) or exists (
    select from jobs.pauses p where p.tenant = n.tenant and (p.queue is null or p.queue = n.queue)),
  k.min_release, n.opened
from jobs.partitions n
join jobs.queues q on q.name = n.queue
join jobs.kinds k on k.name = n.kind
where n.kind = any ($1) and n.opened > $2
order by n.opened
