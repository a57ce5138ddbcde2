select r.name as relation, null::text as object, format('%s, and no policy lets them: nobody gets a row', o.sentence) as detail,
  null::text as fix
from relations r join open_to o on o.relation = r.oid
where r.kind in ('r', 'p') and r.is_secured and not exists (select from permits m where m.relation = r.oid)
