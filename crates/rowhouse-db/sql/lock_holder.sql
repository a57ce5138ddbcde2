-- The session that holds the advisory lock $1 of this database; a bigint key is split into classid and objid.
select lock.pid, case
    when activity.query = '<insufficient privilege>' then '(a statement of another role, which this login may not see)'
    else coalesce(left(activity.query, 200), '') end as query
from pg_locks lock left join pg_stat_activity activity on activity.pid = lock.pid
where lock.locktype = 'advisory' and lock.granted and lock.objsubid = 1
  and lock.database = (select oid from pg_database where datname = current_database())
  and lock.classid::bigint = ($1::bigint >> 32) & 4294967295 and lock.objid::bigint = $1::bigint & 4294967295
limit 1
