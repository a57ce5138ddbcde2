select r.name as relation, null::text as object, format('%I owns it and sees all rows', pg_get_userbyid(r.owner)) as detail,
  format('alter table %s force row level security;', r.name) as fix
from relations r
where r.kind in ('r', 'p') and r.is_secured and not r.is_forced
