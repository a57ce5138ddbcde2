select d.name as relation, null::text as object, format('anybody may call it, and it runs as %I', pg_get_userbyid(d.owner)) as detail,
  format('revoke execute on routine %s from public, anon;', d.name) as fix
from definers d
where d.is_served and d.is_for_anon
