-- The locks that the session $2 holds on the tables $1.
select pg_catalog.format('%I.%I', n.nspname, c.relname), l.mode
from pg_catalog.pg_locks l
join pg_catalog.pg_class c on c.oid = l.relation join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where l.pid = $2 and l.granted and l.locktype = 'relation' and l.relation = any ($1::oid[])
order by 1, 2
