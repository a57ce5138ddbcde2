select format('role %I', r.rolname) as relation, null::text as object,
  case when r.rolsuper then 'can sign in and is a superuser' else 'can sign in and bypasses row-level security' end as detail,
  null::text as fix
from pg_roles r
-- the first superuser of a server cannot be done without
where r.rolcanlogin and (r.rolsuper or r.rolbypassrls) and r.oid <> 10 and not exists (select from plane p where p.oid = r.oid)
