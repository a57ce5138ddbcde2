-- finds public.more; public.notes; public.rest; public.things
-- bad
create policy every on public.notes to authenticated using (true);
create policy own on public.more for select to authenticated using (tenant_id = (select auth.tenant_id()) or 1 = 1);
create policy own on public.rest for insert to authenticated with check (tenant_id = tenant_id);
create policy feedback on public.things for insert to authenticated with check (length('a') = 1)
-- good
create policy every on public.notes to authenticated using (true);
create policy tenant on public.notes as restrictive to authenticated using (tenant_id = (select auth.tenant_id()));
create policy nothing on public.more to authenticated using (false);
create policy owner on public.rest to rowhouse_project using (true);
create policy every on public.things for select to authenticated using (true)
