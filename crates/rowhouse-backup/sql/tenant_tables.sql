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
  -- Reading a value of a domain runs its checks, which the project wrote: beside the live rows it has the type below the domain,
  -- and what holds domains, or may, is text. Each as name, expression of the live column, and type to go back to, if it is text.
  array(
    select v.part from pg_attribute a
    cross join lateral (
      with recursive below (type) as (
        select a.atttypid union all select y.typbasetype from below join pg_type y on y.oid = below.type where y.typtype = 'd'
      )
      select y.oid as base, y.typtype <> 'c' and coalesce(e.typtype in ('b', 'e'), true) as is_plain
      from below join pg_type y on y.oid = below.type
      left join pg_range r on y.oid in (r.rngtypid, r.rngmultitypid)
      left join pg_type e on e.oid = coalesce(r.rngsubtype, nullif(y.typelem, 0))
      where y.typtype <> 'd'
    ) b
    cross join lateral unnest(array[
      quote_ident(a.attname),
      case when b.is_plain then format('%1$I::%2$s as %1$I', a.attname, format_type(b.base, -1)) else format('null::text as %I', a.attname) end,
      case when b.is_plain then '' else format_type(a.atttypid, a.atttypmod) end
    ]) with ordinality v (part, place)
    where a.attrelid = h.target and a.attnum > 0 and not a.attisdropped and (b.base <> a.atttypid or not b.is_plain)
    order by a.attnum, v.place) as unchecked,
  -- A row that comes back is no new one: what the project does about new ones was done. References stay checked.
  t.disable, t.enable
from held h
cross join lateral (
  select
    coalesce(array_agg(format('alter table only %I.%I disable trigger %I', n.nspname, c.relname, g.tgname)), '{}') as disable,
    coalesce(array_agg(format('alter table only %I.%I enable %strigger %I', n.nspname, c.relname,
      case g.tgenabled when 'A' then 'always ' else '' end, g.tgname)), '{}') as enable
  from (select h.target::oid as relation union select p.relid::oid from pg_partition_tree(h.target) p) p
  join pg_class c on c.oid = p.relation
  join pg_namespace n on n.oid = c.relnamespace
  join pg_trigger g on g.tgrelid = c.oid
  where h.of_project and not g.tgisinternal and g.tgenabled in ('O', 'A') and g.tgname not like 'tenant\_reference\_%'
) t
order by h.full_name
