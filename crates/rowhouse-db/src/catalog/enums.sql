-- Labels of enumerated types in their order, with the type's name as columns and arguments show it.
select format_type(t.oid, null), array_agg(e.enumlabel::text order by e.enumsortorder)
from pg_type t
join pg_enum e on e.enumtypid = t.oid
group by t.oid
