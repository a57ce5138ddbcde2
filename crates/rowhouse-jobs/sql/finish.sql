-- Whole leases whose jobs went well. Whoever finds a lease gone has lost it and completes nothing.
with gone as (
  delete from jobs.leases where id = any ($2) and worker = $1 returning id, jobs
), done as (
  insert into jobs.done (lane, ids)
  select j.lane, array_agg(j.id) from gone, unnest(gone.jobs) j group by j.lane
)
select id from gone
