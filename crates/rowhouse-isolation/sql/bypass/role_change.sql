-- PostgreSQL refuses these in functions with the rights of their owner as they run; elsewhere they leave the caller's role, and with it the policies.
select p.oid::regprocedure::text as relation, null::text as object,
  case when p.prosecdef then 'its owner''s rights do not allow it, and it fails where it comes to it: '
    else 'whoever runs it goes on without the role that policies hold: ' end || m.found[1] as detail,
  null::text as fix
from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang cross join input
cross join lateral regexp_match(regexp_replace(p.prosrc, '--[^\n]*|/\*.*?\*/', ' ', 'g'),
  '\m((?:re)?set\s+(?:(?:local|session)\s+)?(?:role|session\s+authorization)\M|set_config\s*\(\s*''(?:role|session_authorization)'')', 'i') as m (found)
where data -> 'schemas' ? n.nspname::text and l.lanname in ('sql', 'plpgsql') and m.found is not null
  and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
