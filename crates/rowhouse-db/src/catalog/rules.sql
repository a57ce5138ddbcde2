-- Rules of all views, served or not: a served view may select from others.
select r.ev_class, r.ev_action::text
from pg_rewrite r
join pg_class c on c.oid = r.ev_class
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('v', 'm')
  and r.ev_type = '1'
  and n.nspname not in ('pg_catalog', 'information_schema')
  and exists (
    select from pg_class s join pg_namespace sn on sn.oid = s.relnamespace
    where s.relkind in ('v', 'm') and sn.nspname = any ($1::text[]))
