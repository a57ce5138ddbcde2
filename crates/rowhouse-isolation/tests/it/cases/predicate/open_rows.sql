-- finds public.things
-- bad
create policy every on public.things for select to authenticated using (true);
create policy role on public.things for insert to authenticated with check ((select auth.role()) = 'authenticated')
-- good
create policy own on public.things to authenticated using (owner_id = (select auth.uid()));
create table public.same (id uuid primary key);
select tenancy.share('public.same')
