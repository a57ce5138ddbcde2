-- Computed relations: functions from the row of one table to rows of another.
select fn.nspname::text,
       f.proname::text,
       an.nspname::text,
       a.relname::text,
       rn.nspname::text,
       r.relname::text,
       not f.proretset or f.prorows = 1
from pg_proc f
join pg_namespace fn on fn.oid = f.pronamespace
join pg_class a on a.reltype = f.proargtypes[0]
join pg_namespace an on an.oid = a.relnamespace
join pg_class r on r.reltype = f.prorettype
join pg_namespace rn on rn.oid = r.relnamespace
where f.pronargs = 1
  and f.prokind = 'f'
  and fn.nspname = any ($1::text[])
  and an.nspname = any ($1::text[])
  and rn.nspname = any ($1::text[])
  and a.relkind in ('r', 'v', 'm', 'f', 'p')
  and r.relkind in ('r', 'v', 'm', 'f', 'p')
order by fn.nspname, f.proname, f.oid
