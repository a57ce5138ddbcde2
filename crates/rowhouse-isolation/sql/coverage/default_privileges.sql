select format('role %I', pg_get_userbyid(d.defaclrole)) as relation, null::text as object,
  format('gives %s on its new tables%s to %s', string_agg(distinct lower(x.privilege_type), ', '),
    coalesce(' in schema ' || quote_ident(n.nspname), ''), g.grantee) as detail,
  format('alter default privileges for role %I%s revoke %s on tables from %s;', pg_get_userbyid(d.defaclrole),
    coalesce(' in schema ' || quote_ident(n.nspname), ''), string_agg(distinct lower(x.privilege_type), ', '), g.grantee) as fix
from pg_default_acl d cross join input
left join pg_namespace n on n.oid = d.defaclnamespace
cross join lateral aclexplode(d.defaclacl) x
cross join lateral (
  select case x.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(x.grantee)) end as grantee) g
where d.defaclobjtype = 'r' and (n.oid is null or data -> 'schemas' ? n.nspname::text)
  and (x.grantee = 0 or exists (select from callers c where c.oid = x.grantee))
group by d.oid, d.defaclrole, n.nspname, g.grantee
