select r.name as relation, p.pubname::text as object, 'its changes are published, and no policy says to whom' as detail,
  format('select tenancy.protect(%L);', r.name) as fix
from relations r join pg_publication_tables p on format('%I.%I', p.schemaname, p.tablename) = r.name
where not r.is_secured and r.kind in ('r', 'p')
