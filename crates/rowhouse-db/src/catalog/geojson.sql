-- PostGIS's function from a row to a feature, wherever the extension was installed; its other arguments have defaults.
select n.nspname::text, p.proname::text
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
where p.proname = 'st_asgeojson'
  and p.proargtypes[0] = 'record'::regtype
  and p.pronargs - p.pronargdefaults <= 1
order by exists (
    select from pg_depend d join pg_extension e on e.oid = d.refobjid
    where d.classid = 'pg_proc'::regclass and d.objid = p.oid
      and d.refclassid = 'pg_extension'::regclass and e.extname = 'postgis') desc,
  n.nspname
limit 1
