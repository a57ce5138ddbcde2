-- Names of the columns of keys and views. The inner query is uncorrelated, so it is hashed once.
select a.attrelid, a.attnum, a.attname::text, n.nspname::text, c.relname::text
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
where a.attnum > 0
  and not a.attisdropped
  and n.nspname not in ('pg_catalog', 'information_schema')
  and c.relkind in ('r', 'p', 'f', 'v', 'm')
  and (c.relkind in ('v', 'm') and n.nspname = any ($1::text[])
       or c.oid in (
         select k.conrelid from pg_constraint k
         union all
         select k.confrelid from pg_constraint k where k.contype = 'f'))
