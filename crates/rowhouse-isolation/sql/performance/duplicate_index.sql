select r.name as relation, b.indexrelid::regclass::text as object, format('the same as %s', a.indexrelid::regclass) as detail,
  case when not b.indisunique then format('drop index %s;', b.indexrelid::regclass) end as fix
from relations r join pg_index a on a.indrelid = r.oid join pg_index b on b.indrelid = r.oid and b.indexrelid > a.indexrelid
join pg_class ac on ac.oid = a.indexrelid join pg_class bc on bc.oid = b.indexrelid and bc.relam = ac.relam
where not r.is_partition and (a.indisunique or not b.indisunique)
  and (a.indkey::text, a.indclass::text, a.indcollation::text, a.indoption::text)
    = (b.indkey::text, b.indclass::text, b.indcollation::text, b.indoption::text)
  and pg_get_expr(a.indexprs, r.oid) is not distinct from pg_get_expr(b.indexprs, r.oid)
  and pg_get_expr(a.indpred, r.oid) is not distinct from pg_get_expr(b.indpred, r.oid)
