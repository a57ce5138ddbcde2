-- Of each of the tables $1: its file, which a rewrite replaces; whether anything is in it; and what this transaction has read by
-- reading the whole table, and changed.
select pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.pg_relation_filenode(c.oid), pg_catalog.pg_relation_size(c.oid) > 0,
  pg_catalog.pg_stat_get_xact_tuples_returned(c.oid),
  pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = any ($1::oid[]) and c.relkind = 'r'
