-- Objects of other roles in this database, and privileges of PUBLIC that database_grants.sql revokes. Objects of extensions
-- are ignored.
with others as (
  select c.relowner::regrole::text as owner
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.relowner not in (select oid from pg_roles where rolname in ('rowhouse', 'rowhouse_owner', 'rowhouse_project', 'rowhouse_caller'))
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
)
select current_database()::text as database,
  (select count(*) from others) as objects,
  (select coalesce(array_agg(distinct owner order by owner), '{}') from others) as owners,
  array_remove(array[
    case when has_database_privilege('public', current_database(), 'connect')
      then 'CONNECT on database ' || current_database() end,
    case when exists (select from pg_namespace where nspname = 'public' and (
      has_schema_privilege('public', oid, 'usage') or has_schema_privilege('public', oid, 'create')))
      then 'USAGE and CREATE on schema public' end], null) as revoked
