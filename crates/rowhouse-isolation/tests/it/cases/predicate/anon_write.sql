-- finds public.things
-- bad
create policy feedback on public.things for insert to anon with check (owner_id is null);
grant insert on public.things to anon
-- good
create policy feedback on public.things for insert to authenticated with check (owner_id = (select auth.uid()));
-- without a policy it lets nobody write
grant insert, select on public.things to anon
