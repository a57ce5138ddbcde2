-- Columns in order. A domain's default is used if the column has none; an identity column's default
-- is its sequence's next value; a generated column has no default that could be written.
with recursive base (oid, base) as (
  select t.oid, t.oid from pg_type t where t.typtype <> 'd'
  union all
  select d.oid, b.base from pg_type d join base b on b.oid = d.typbasetype where d.typtype = 'd'
)
select a.attrelid,
       a.attname::text,
       format_type(a.atttypid, a.atttypmod),
       format_type(b.base, null),
       not (a.attnotnull or (t.typtype = 'd' and t.typnotnull)),
       case
         when a.attgenerated <> '' then null
         when a.attidentity <> '' then (
           select format('nextval(%L)', s.objid::regclass) from pg_depend s
           where s.refclassid = 'pg_class'::regclass and s.refobjid = a.attrelid
             and s.refobjsubid = a.attnum and s.deptype = 'i' limit 1)
         when d.adbin is not null then pg_get_expr(d.adbin, d.adrelid)
         when t.typtype = 'd' then pg_get_expr(t.typdefaultbin, 0)
       end,
       -- representations: implicit casts between a domain and json or text
       (select x.castfunc::regproc::text from pg_cast x where t.typtype = 'd' and x.castsource = t.oid
          and x.casttarget = 'json'::regtype and x.castcontext = 'i' and x.castmethod = 'f'),
       (select x.castfunc::regproc::text from pg_cast x where t.typtype = 'd' and x.casttarget = t.oid
          and x.castsource = 'json'::regtype and x.castcontext = 'i' and x.castmethod = 'f'),
       (select x.castfunc::regproc::text from pg_cast x where t.typtype = 'd' and x.casttarget = t.oid
          and x.castsource = 'text'::regtype and x.castcontext = 'i' and x.castmethod = 'f'),
       a.attgenerated <> '' or a.attidentity = 'a'
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_type t on t.oid = a.atttypid
join base b on b.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where n.nspname = any ($1::text[])
  and c.relkind in ('r', 'v', 'm', 'f', 'p')
  and a.attnum > 0
  and not a.attisdropped
order by a.attrelid, a.attnum
