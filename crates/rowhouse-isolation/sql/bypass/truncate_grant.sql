select r.name as relation, null::text as object,
  string_agg(format('%s may %s', h.caller, (select string_agg(verb, ', ') from unnest(h.verbs) as verb
    where verb in ('truncate', 'references', 'trigger'))), '; ' order by h.caller) as detail,
  (select string_agg(distinct format('revoke truncate, references, trigger on %s from %s;', r.name, g.grantee), ' ')
    from weak_grants g where g.relation = r.oid and g.verb in ('truncate', 'references', 'trigger')) as fix
from relations r join reach h on h.relation = r.oid
where r.kind in ('r', 'p') and h.verbs && array['truncate', 'references', 'trigger']
group by r.oid, r.name
