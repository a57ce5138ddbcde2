-- Sessions that block the session $1.
select blocking.pid, case
    when activity.query = '<insufficient privilege>' then '(a statement of another role, which this login may not see)'
    else coalesce(left(activity.query, 200), '') end as query
from unnest(pg_blocking_pids($1)) as blocking (pid) left join pg_stat_activity activity on activity.pid = blocking.pid
where blocking.pid <> 0
order by blocking.pid
