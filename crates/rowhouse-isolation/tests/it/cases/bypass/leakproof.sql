-- finds public.quiet(integer)
-- bad
reset role;
create function public.quiet(n int) returns boolean language plpgsql leakproof as 'begin raise notice ''%'', n; return true; end'
-- good
reset role;
create function public.quiet(n int) returns boolean language plpgsql as 'begin raise notice ''%'', n; return true; end'
