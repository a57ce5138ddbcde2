select d.name as relation, null::text as object,
  format('%s may call it, and it runs as %I, who %s', d.callers, w.rolname, case when w.rolsuper then 'is a superuser' else 'bypasses row-level security' end) as detail,
  case when to_regrole('rowhouse_project') is not null then format('alter routine %s owner to rowhouse_project;', d.name) end as fix
from definers d join pg_roles w on w.oid = d.owner
where w.rolsuper or w.rolbypassrls
