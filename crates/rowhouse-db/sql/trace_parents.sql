-- The tables $1 with all that they refer to, those that are referred to first; of partitions the tables that they belong to.
with recursive wanted (oid, depth) as (
  select coalesce(pg_partition_root(t), t), 0 from unnest($1::oid[]) t
  union
  select k.confrelid, w.depth + 1
  from wanted w join pg_constraint k on k.conrelid = w.oid and k.contype = 'f' and k.confrelid <> w.oid
  where w.depth < 20
)
select format('%I.%I', n.nspname, c.relname)
from wanted w join pg_class c on c.oid = w.oid join pg_namespace n on n.oid = c.relnamespace
where n.nspowner <> to_regrole('rowhouse_owner')
group by c.oid, n.nspname, c.relname order by max(w.depth) desc, 1
