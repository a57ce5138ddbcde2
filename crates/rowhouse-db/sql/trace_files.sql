-- The file of each of the tables $1, which a rewrite replaces, and whether anything is in the table.
select pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.pg_relation_filenode(c.oid), pg_catalog.pg_relation_size(c.oid) > 0
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = any ($1::oid[])
