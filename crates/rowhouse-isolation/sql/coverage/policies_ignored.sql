select r.name as relation, null::text as object,
  format('%s %s not applied', string_agg(p.name::text, ', ' order by p.name), case count(*) when 1 then 'is' else 'are' end) as detail,
  format('alter table %1$s enable row level security; alter table %1$s force row level security;', r.name) as fix
from relations r join policies p on p.relation = r.oid
where not r.is_secured
group by r.oid, r.name
