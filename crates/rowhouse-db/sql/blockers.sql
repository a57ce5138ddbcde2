-- Sessions that block the session $1.
select blocking.pid, coalesce(left(activity.query, 200), '') as query
from unnest(pg_blocking_pids($1)) as blocking (pid) left join pg_stat_activity activity on activity.pid = blocking.pid
where blocking.pid <> 0
order by blocking.pid
