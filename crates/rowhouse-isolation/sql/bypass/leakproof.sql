select p.oid::regprocedure::text as relation, null::text as object, 'runs on rows before the policies have hidden them' as detail,
  format('alter function %s not leakproof;', p.oid::regprocedure) as fix
from pg_proc p join pg_namespace n on n.oid = p.pronamespace cross join input
where p.proleakproof and data -> 'schemas' ? n.nspname::text
  and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
