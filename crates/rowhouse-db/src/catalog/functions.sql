-- Callable functions with their input arguments. A function with unnamed arguments can only be called when it
-- has exactly one, of a type that takes a whole request body.
with recursive base (oid, base) as (
  select t.oid, t.oid from pg_type t where t.typtype <> 'd'
  union all
  select d.oid, b.base from pg_type d join base b on b.oid = d.typbasetype where d.typtype = 'd'
)
select n.nspname::text,
       p.proname::text,
       coalesce(a.names, '{}'),
       coalesce(a.types, '{}'),
       p.pronargs::int - p.pronargdefaults::int,
       p.provariadic <> 0,
       p.provolatile,
       p.proretset,
       case
         when coalesce(p.proargmodes::text[] && '{t,b,o}', false) then 'row'
         when r.oid = 'void'::regtype then 'void'
         when r.typtype = 'c' then 'row'
         else 'scalar'
       end,
       rn.nspname::text,
       coalesce(rc.relname, r.typname)::text,
       coalesce(p.proconfig, '{}'),
       case
         when p.proargmodes::text[] && '{t,b,o}' then (
           select coalesce(array_agg(coalesce(o.name, '') order by o.place), '{}')
           from unnest(p.proargnames, p.proargmodes::text[]) with ordinality o (name, mode, place)
           where o.mode in ('t', 'b', 'o'))
         when r.typtype = 'c' then (
           select coalesce(array_agg(c.attname::text order by c.attnum), '{}') from pg_attribute c
           where c.attrelid = r.typrelid and c.attnum > 0 and not c.attisdropped)
         else '{}'
       end
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join base b on b.oid = p.prorettype
join pg_type r on r.oid = b.base
join pg_namespace rn on rn.oid = r.typnamespace
left join pg_class rc on rc.oid = r.typrelid
left join lateral (
  select array_agg(coalesce(u.name, '') order by u.place) as names,
         array_agg(format_type(u.type, null) order by u.place) as types,
         count(*) filter (where coalesce(u.name, '') = '') as unnamed,
         count(*) as total,
         min(u.type::int8) as first_type
  from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames, p.proargmodes::text[])
       with ordinality u (type, name, mode, place)
  where coalesce(u.mode, 'i') in ('i', 'b', 'v')
) a on true
where n.nspname = any ($1::text[])
  and p.prokind = 'f'
  and r.oid not in ('trigger'::regtype, 'event_trigger'::regtype)
  and (a.unnamed = 0
       or (a.total = 1 and a.first_type::oid in
           ('json'::regtype, 'jsonb'::regtype, 'text'::regtype, 'xml'::regtype, 'bytea'::regtype)))
order by n.nspname, p.proname, p.oid
