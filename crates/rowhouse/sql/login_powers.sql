-- Rights that a data-plane login ($1) must not have; $2 is the one privileged role that it may become, if any.
select array_remove(array[
    case when r.rolsuper then 'is a superuser' end,
    case when r.rolbypassrls then 'has BYPASSRLS' end,
    case when r.rolcreaterole then 'has CREATEROLE' end,
    case when exists (select from pg_class c where c.relowner = r.oid and c.relkind in ('r', 'p', 'v', 'm'))
      then 'owns tables' end]
  || array(
    select 'may become ' || p.rolname from pg_roles p
    where not r.rolsuper and p.oid <> r.oid and p.rolname <> $2::text and pg_has_role(r.oid, p.oid, 'member')
      and (p.rolsuper or p.rolbypassrls or p.rolcreaterole
        or p.rolname in ('service_role', 'rowhouse', 'rowhouse_owner', 'rowhouse_project'))
    order by p.rolname), null) as powers
from pg_roles r
where r.rolname = $1::text
