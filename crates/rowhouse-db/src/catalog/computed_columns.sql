-- Computed columns: functions of the project whose first argument takes the row of a served table, or of one that it
-- inherits from, and whose other arguments have defaults. Functions of PostgreSQL itself and of extensions can be
-- called as columns, too (`select t.json_agg from t`); they do not count as columns.
with recursive line (relation, ancestor) as (
  select c.oid, c.oid
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any ($1::text[]) and c.relkind in ('r', 'v', 'm', 'f', 'p')
  union
  select l.relation, i.inhparent from line l join pg_inherits i on i.inhrelid = l.ancestor
)
select distinct l.relation, f.proname::text
from line l
join pg_class a on a.oid = l.ancestor
join pg_type t on t.typrelid = a.oid
join pg_proc f on f.proargtypes[0] = t.oid
where f.prokind = 'f'
  and f.pronargs >= 1
  and f.pronargs - f.pronargdefaults <= 1
  and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e')
order by 1, 2
