select r.name as relation, m.name::text as object,
  format('names %I and nobody''s identity: every caller gets the same rows', r.tenant_column) as detail,
  case when r.is_standard then format('alter policy %I on %s%s%s;', m.name, r.name,
    ' using (' || p.using_text || ' and tenant_id = (select auth.tenant_id()))',
    ' with check (' || p.check_text || ' and tenant_id = (select auth.tenant_id()))') end as fix
from relations r join open_permits m on m.relation = r.oid join policies p on p.oid = m.policy
where r.tenant_number is not null and m.constant is null and m.tenant_bound and not m.asks_caller
  -- a subquery that is itself under row-level security, or a view, may ask
  and not exists (select from unnest(m.reads) as read join pg_class c on c.oid = read.read where c.relrowsecurity or c.relkind = 'v')
group by r.oid, r.name, r.tenant_column, r.is_standard, m.name, p.using_text, p.check_text
