-- finds public.elevated()
-- bad
reset role;
create function public.elevated() returns int language sql security definer set search_path = pg_catalog, pg_temp as 'select 1'
-- good
create function public.plain() returns int language sql security definer set search_path = pg_catalog, pg_temp as 'select 1'
