-- Invalid indexes named $1 of the role $2 that nobody is building.
select format('%I.%I', n.nspname, c.relname)
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
where c.relname = any ($1::text[]) and not i.indisvalid and pg_get_userbyid(c.relowner) = $2
  and not exists (select from pg_stat_progress_create_index p where p.index_relid = i.indexrelid)
order by 1
