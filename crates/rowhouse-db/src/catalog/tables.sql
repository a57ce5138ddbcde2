-- Tables and views of the served schemas. The bits of pg_relation_is_updatable are 1 << command:
-- update 4, insert 8, delete 16; plain tables always take all three. That function fails for a foreign table whose
-- wrapper has no handler; such a table is not writable.
select c.oid,
       n.nspname::text,
       c.relname::text,
       c.relkind in ('v', 'm'),
       takes.changes & 8 = 8,
       takes.changes & 4 = 4,
       takes.changes & 16 = 16
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (
  select case
    when c.relkind in ('r', 'p') then 28
    when c.relkind = 'v' then pg_relation_is_updatable(c.oid, true)
    when c.relkind = 'f' and exists (
      select from pg_foreign_table t
      join pg_foreign_server s on s.oid = t.ftserver
      join pg_foreign_data_wrapper w on w.oid = s.srvfdw
      where t.ftrelid = c.oid and w.fdwhandler <> 0
    ) then pg_relation_is_updatable(c.oid, true)
    else 0
  end as changes
) takes
where n.nspname = any ($1::text[])
  and c.relkind in ('r', 'v', 'm', 'f', 'p')
  and not c.relispartition
