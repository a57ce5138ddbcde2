-- Tables and views of the served schemas. The bits of pg_relation_is_updatable are 1 << command:
-- update 4, insert 8, delete 16; plain tables always take all three.
select c.oid,
       n.nspname::text,
       c.relname::text,
       c.relkind in ('v', 'm'),
       c.relkind in ('r', 'p') or (c.relkind in ('v', 'f') and pg_relation_is_updatable(c.oid, true) & 8 = 8),
       c.relkind in ('r', 'p') or (c.relkind in ('v', 'f') and pg_relation_is_updatable(c.oid, true) & 4 = 4),
       c.relkind in ('r', 'p') or (c.relkind in ('v', 'f') and pg_relation_is_updatable(c.oid, true) & 16 = 16)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1::text[])
  and c.relkind in ('r', 'v', 'm', 'f', 'p')
  and not c.relispartition
