-- Tables with rows of a tenant, each once, and what a restore needs to know of them. Its own row counts as one.
with held as (
  select distinct on (f.target) f.* from (
    select t.target, t.full_name, t.column_name, t.is_partitioned, t.of_project from tenancy.tables_of('tenancy.tenants') t
    union all
    select 'tenancy.tenants'::regclass, 'tenancy.tenants', 'id', false, false
  ) f
  order by f.target, f.column_name = 'tenant_id' desc
)
select h.target::oid as relation, h.full_name as name, quote_ident(h.column_name) as tenant_column, h.is_partitioned, h.of_project,
  array(
    select quote_ident(a.attname) from pg_index i
    cross join lateral unnest(i.indkey::int2[]) with ordinality k (number, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
    where i.indrelid = h.target and i.indisprimary order by k.place) as key,
  -- generated ones follow from the others
  array(
    select quote_ident(a.attname) from pg_attribute a
    where a.attrelid = h.target and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum) as columns,
  array(
    select quote_ident(a.attname) from pg_attribute a
    where a.attrelid = h.target and a.attnum > 0 and a.attidentity = 'a') as identities,
  array(
    select distinct k.confrelid from pg_constraint k where k.contype = 'f' and k.conrelid = h.target) as parents,
  -- A row that comes back is no new one: what the project does about new ones was done. References stay checked.
  array(
    select format('alter table %s disable trigger %I', h.full_name, g.tgname) from pg_trigger g
    where g.tgrelid = h.target and h.of_project and not g.tgisinternal and g.tgenabled in ('O', 'A')
      and g.tgname not like 'tenant\_reference\_%' order by g.tgname) as disable,
  array(
    select format('alter table %s enable %strigger %I', h.full_name, case g.tgenabled when 'A' then 'always ' else '' end, g.tgname)
    from pg_trigger g
    where g.tgrelid = h.target and h.of_project and not g.tgisinternal and g.tgenabled in ('O', 'A')
      and g.tgname not like 'tenant\_reference\_%' order by g.tgname) as enable
from held h
order by h.full_name
