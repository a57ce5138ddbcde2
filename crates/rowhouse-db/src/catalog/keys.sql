-- Primary keys and unique constraints with their columns in key order.
select k.conrelid,
       k.contype = 'p',
       (select array_agg(a.attname::text order by u.place)
        from unnest(k.conkey) with ordinality u (attnum, place)
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum)
from pg_constraint k
join pg_namespace n on n.oid = k.connamespace
where n.nspname = any ($1::text[])
  and k.contype in ('p', 'u')
  and k.conrelid <> 0
order by k.conrelid, k.conname
