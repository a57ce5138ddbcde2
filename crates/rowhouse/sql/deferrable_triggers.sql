-- What doctor says of triggers that can be put off to the commit. From PostgreSQL 18 on they run as whoever set them off.
select format('trigger %I on %s: it can be deferred to the commit of a transaction of accounts; make %s security definer',
  t.trigger_name, t.relation, t.routine)
from auth.deferrable_triggers() t
where current_setting('server_version_num')::int < 180000
order by 1
