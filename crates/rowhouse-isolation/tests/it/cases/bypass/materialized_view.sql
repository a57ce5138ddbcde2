-- finds public.summary
-- bad
create materialized view public.summary as select count(*) from public.notes;
grant select on public.summary to authenticated
-- good
create materialized view public.summary as select count(*) from public.notes;
create table public.same (id uuid primary key);
select tenancy.share('public.same');
create materialized view public.of_shared as select count(*) from public.same;
grant select on public.of_shared to authenticated
