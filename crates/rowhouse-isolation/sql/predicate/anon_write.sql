select r.name as relation, null::text as object,
  format('anon may %s by %s', string_agg(distinct m.verb, ', '), string_agg(distinct m.name::text, ', ')) as detail,
  (select string_agg(distinct format('revoke insert, update, delete on %s from %s;', r.name, g.grantee), ' ')
    from weak_grants g where g.relation = r.oid and g.caller = 'anon' and g.verb in ('insert', 'update', 'delete')) as fix
from relations r join reach h on h.relation = r.oid and h.caller = 'anon'
join permits m on m.relation = r.oid and m.caller = 'anon' and m.is_permissive and m.verb = any (h.verbs)
where r.is_secured and m.verb in ('insert', 'update', 'delete') and m.constant is distinct from false
group by r.oid, r.name
