-- finds public.by_superuser; public.by_project
-- bad
create policy everything on public.more to rowhouse_project using (true);
create view public.by_project as select id from public.more;
grant select on public.by_project to anon;
reset role;
create view public.inner_view as select id from public.notes;
create view public.by_superuser as select id from public.inner_view;
grant select on public.by_superuser to authenticated
-- good
create view public.of_caller with (security_invoker = on) as select id from public.notes;
grant select on public.of_caller to authenticated;
create table public.safe (id uuid primary key);
select tenancy.protect('public.safe');
-- the owner's policy asks for the caller's role
create view public.by_project as select id from public.safe;
create table public.same (id uuid primary key);
select tenancy.share('public.same');
create view public.of_shared as select id from public.same;
grant select on public.by_project, public.of_shared to authenticated
