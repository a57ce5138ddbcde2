-- The project's tables: id, name quoted where it has to be, and bare name. Of partitions only the tables that they belong to are
-- named in files.
select c.oid, format('%I.%I', n.nspname, c.relname), c.relname::text, c.relispartition
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'extensions')
  and n.nspowner <> to_regrole('rowhouse_owner')
  and c.oid not in (select objid from pg_depend where deptype = 'e' and classid = 'pg_class'::regclass)
order by 2
