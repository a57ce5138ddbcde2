-- What names columns in its text: functions, views and policies of the project's schemas.
with schema as (
  select oid, nspname from pg_namespace
  where nspname !~ '^pg_' and nspname <> 'information_schema' and nspowner <> coalesce(to_regrole('rowhouse_owner'), 0::oid)
),
foreign_object as (select objid from pg_depend where deptype = 'e' and classid = 'pg_proc'::regclass)
select 'function ' || s.nspname || '.' || p.proname as object, coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) as text
from pg_proc p join schema s on s.oid = p.pronamespace
where p.prokind in ('f', 'p') and p.oid not in (select objid from foreign_object)
union all
select 'view ' || s.nspname || '.' || c.relname, pg_get_viewdef(c.oid)
from pg_class c join schema s on s.oid = c.relnamespace where c.relkind in ('v', 'm')
union all
select 'policy ' || p.polname || ' on ' || s.nspname || '.' || c.relname,
  concat_ws(' ', c.relname, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
from pg_policy p join pg_class c on c.oid = p.polrelid join schema s on s.oid = c.relnamespace
