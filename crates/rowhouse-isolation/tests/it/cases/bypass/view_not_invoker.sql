-- finds public.by_project
-- bad
create table public.safe (id uuid primary key);
select tenancy.protect('public.safe');
create view public.by_project as select id from public.safe;
grant select on public.by_project to authenticated
-- good
create table public.safe (id uuid primary key);
select tenancy.protect('public.safe');
create view public.of_caller with (security_invoker) as select id from public.safe;
create view public.unused as select id from public.safe;
grant select on public.of_caller to authenticated
