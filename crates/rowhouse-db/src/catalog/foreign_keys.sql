-- Foreign keys between served tables. Copies that partitions inherit (conparentid) are left out. A key is
-- one-to-one when exactly its columns are a primary key or unique.
select k.conname::text,
       n.nspname::text,
       c.relname::text,
       p.columns,
       fn.nspname::text,
       fc.relname::text,
       p.foreign_columns,
       exists (
         select from pg_constraint u
         where u.conrelid = k.conrelid and u.contype in ('p', 'u')
           and u.conkey @> k.conkey and u.conkey <@ k.conkey)
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_class fc on fc.oid = k.confrelid
join pg_namespace fn on fn.oid = fc.relnamespace
cross join lateral (
  select array_agg(a.attname::text order by u.place) as columns,
         array_agg(fa.attname::text order by u.place) as foreign_columns
  from unnest(k.conkey, k.confkey) with ordinality u (attnum, fattnum, place)
  join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
  join pg_attribute fa on fa.attrelid = k.confrelid and fa.attnum = u.fattnum
) p
where k.contype = 'f'
  and k.conparentid = 0
  and n.nspname = any ($1::text[])
  and fn.nspname = any ($1::text[])
order by n.nspname, c.relname, k.conname
