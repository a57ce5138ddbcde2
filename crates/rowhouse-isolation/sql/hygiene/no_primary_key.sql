select r.name as relation, null::text as object, 'a row cannot be named, updated or replicated alone' as detail, null::text as fix
from relations r
where r.kind in ('r', 'p') and not r.is_partition and (r.is_served or exists (select from open_to o where o.relation = r.oid))
  and not exists (select from pg_index i where i.indrelid = r.oid and i.indisprimary)
