-- Media type handlers: aggregates and functions that return a domain named like a media type. An aggregate handles
-- rows of one table or, over anyelement, of any; a function returns the body itself.
with recursive base (oid, base) as (
  select t.oid, t.oid from pg_type t where t.typtype <> 'd'
  union all
  select d.oid, b.base from pg_type d join base b on b.oid = d.typbasetype where d.typtype = 'd'
)
select pn.nspname::text,
       p.proname::text,
       p.prokind = 'a',
       an.nspname::text,
       at.typname::text,
       lower(t.typname)::text,
       b.base = 'bytea'::regtype
from pg_type t
join base b on b.oid = t.oid
join pg_proc p on p.prorettype = t.oid
join pg_namespace pn on pn.oid = p.pronamespace
left join pg_type at on at.oid = p.proargtypes[0] and p.prokind = 'a'
left join pg_namespace an on an.oid = at.typnamespace
where t.typtype = 'd'
  and (t.typname ~ '^[A-Za-z0-9.-]+/[A-Za-z0-9.+-]+$' or t.typname = '*/*')
  and pn.nspname = any ($1::text[])
  and (p.prokind = 'f' and not p.proretset
       or p.prokind = 'a' and p.pronargs = 1
          and (at.typname = 'anyelement' or exists (select from pg_class c where c.reltype = at.oid)))
order by pn.nspname, p.proname, p.oid
