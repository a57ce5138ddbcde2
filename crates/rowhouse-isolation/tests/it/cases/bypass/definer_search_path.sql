-- finds public.other(integer); public.unfixed()
-- bad
create function public.unfixed() returns int language sql security definer as 'select 1';
reset role;
create schema playground authorization rowhouse_project;
set local role rowhouse_project;
grant usage, create on schema playground to authenticated;
create function public.other(n int) returns int language sql security definer set search_path = playground, pg_temp as 'select n'
-- good
create function public.fixed() returns int language sql security definer set search_path = pg_catalog, pg_temp as 'select 1';
create function public.empty() returns int language sql security definer set search_path = '' as 'select 1';
create function public.of_trigger() returns trigger language plpgsql security definer as 'begin return new; end';
create function public.of_nobody() returns int language sql security definer as 'select 1';
revoke execute on function public.of_nobody() from public;
create function public.of_caller() returns int language sql as 'select 1'
