, elevated as (
  select oid, rolname as name, case when rolsuper then 'is a superuser' else 'bypasses row-level security' end as power
  from pg_roles where rolsuper or rolbypassrls
  union
  select o.oid, o.rolname, 'owns tables' from pg_roles o
  where not o.rolsuper and not o.rolbypassrls and exists (select from relations r where r.owner = o.oid and r.kind in ('r', 'p'))
)
select format('role %I', p.name) as relation, null::text as object,
  case when p.oid = e.oid then format('%I %s', p.name, e.power)
    else format('%I can become %I, which %s', p.name, e.name, e.power) end as detail,
  case when p.oid = e.oid and p.is_elevated then format('alter role %I nosuperuser nobypassrls;', p.name)
    when exists (select from pg_auth_members m where m.roleid = e.oid and m.member = p.oid) then format('revoke %I from %I;', e.name, p.name)
  end as fix
from plane p join elevated e on p.oid = e.oid
  -- a superuser can become anybody
  or (not p.is_elevated and pg_has_role(p.oid, e.oid, 'member'))
