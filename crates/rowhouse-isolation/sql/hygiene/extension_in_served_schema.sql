select format('extension %I', e.extname) as relation, null::text as object,
  format('its functions are served as %I''s own', n.nspname) as detail,
  case when e.extrelocatable and to_regnamespace('extensions') is not null
    then format('alter extension %I set schema extensions;', e.extname) end as fix
from pg_extension e join pg_namespace n on n.oid = e.extnamespace cross join input
where data -> 'served' ? n.nspname::text and data -> 'schemas' ? n.nspname::text
