-- Primary, unique and foreign keys of all schemas, since served views may show tables that are not served. Copies
-- that partitions inherit from their parents (conparentid) are left out.
select k.conrelid,
       k.contype,
       k.conname::text,
       k.conkey,
       k.confrelid,
       coalesce(k.confkey, '{}')
from pg_constraint k
join pg_namespace n on n.oid = k.connamespace
where n.nspname not in ('pg_catalog', 'information_schema')
  and k.contype in ('p', 'u', 'f')
  and k.conrelid <> 0
  and (k.contype <> 'f' or k.conparentid = 0)
order by k.conrelid, k.conname
