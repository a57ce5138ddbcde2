select r.name as relation, max(p.name::text) as object, format('says the same as %I', min(p.name::text)) as detail,
  format('drop policy %I on %s;', max(p.name::text), r.name) as fix
from relations r join policies p on p.relation = r.oid
group by r.oid, r.name, p.command, p.is_permissive, p.roles, p.using_text, p.check_text
having count(*) > 1
