-- What doctor says of triggers that can be put off to the commit. From PostgreSQL 18 on they run as whoever set them off.
select format('trigger %I on %s can be deferred: accounts are not written while %s would run at the commit of their transaction',
  t.trigger_name, t.relation, t.routine)
from auth.deferrable_triggers() t
where current_setting('server_version_num')::int < 180000
  and t.routine <> 'pg_catalog.unique_key_recheck()'::regprocedure
order by 1
