-- The project's tables, quoted where they have to be.
select format('%I.%I', n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'extensions')
  and n.nspowner <> to_regrole('rowhouse_owner')
  and c.oid not in (select objid from pg_depend where deptype = 'e' and classid = 'pg_class'::regclass)
order by 1
