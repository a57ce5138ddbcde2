-- finds public.changes_role()
-- bad
create function public.changes_role() returns int language plpgsql set search_path = pg_catalog, pg_temp as $$ begin reset role; return 1; end $$
-- good
create function public.changes_role() returns int language plpgsql set search_path = pg_catalog, pg_temp as $$
  -- no set role here
  begin return 1; end $$
