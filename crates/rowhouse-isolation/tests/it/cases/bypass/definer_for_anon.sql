-- finds public.definer()
-- bad
create function public.definer() returns int language sql security definer set search_path = pg_catalog, pg_temp as 'select 1'
-- good
create function public.definer() returns int language sql security definer set search_path = pg_catalog, pg_temp as 'select 1';
revoke execute on function public.definer() from public;
grant execute on function public.definer() to authenticated
