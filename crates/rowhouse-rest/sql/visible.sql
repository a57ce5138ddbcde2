-- Objects of a schema that the caller may use, with comments: (kind, name, column, comment); for a table the third is
-- the allowed command.
with tables as (
  select c.oid,
         c.relname,
         concat_ws(',',
           case when $2::bool or has_any_column_privilege(c.oid, 'select') then 'select' end,
           case when $2::bool or has_any_column_privilege(c.oid, 'insert') then 'insert' end,
           case when $2::bool or has_any_column_privilege(c.oid, 'update') then 'update' end,
           case when $2::bool or has_table_privilege(c.oid, 'delete') then 'delete' end) as rights
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = $1::text
    and c.relkind in ('r', 'v', 'm', 'f', 'p')
    and not c.relispartition
    and ($2::bool
         or has_table_privilege(c.oid, 'select, insert, update, delete')
         or has_any_column_privilege(c.oid, 'select, insert, update'))
)
select 'schema', n.nspname::text, null::text, obj_description(n.oid, 'pg_namespace')
from pg_namespace n where n.nspname = $1::text
union all
select 'table', t.relname::text, t.rights, obj_description(t.oid, 'pg_class') from tables t
union all
select 'column', t.relname::text, a.attname::text, col_description(t.oid, a.attnum)
from tables t join pg_attribute a on a.attrelid = t.oid
where a.attnum > 0 and not a.attisdropped and col_description(t.oid, a.attnum) is not null
union all
select 'function', p.proname::text, null, obj_description(p.oid, 'pg_proc')
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
where n.nspname = $1::text and ($2::bool or has_function_privilege(p.oid, 'execute'))
