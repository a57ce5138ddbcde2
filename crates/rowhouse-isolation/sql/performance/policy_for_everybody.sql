select r.name as relation, p.name::text as object, 'without TO it is evaluated for every role' as detail,
  format('alter policy %I on %s to %s;', p.name, r.name, coalesce((
    select string_agg(quote_ident(h.caller), ', ' order by h.caller) from reach h where h.relation = r.oid), 'authenticated')) as fix
from relations r join policies p on p.relation = r.oid
where p.roles = '{0}'
