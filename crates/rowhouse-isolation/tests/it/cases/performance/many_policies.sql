-- finds public.notes
-- bad
create policy own on public.notes to authenticated using (tenant_id = (select auth.tenant_id()));
create policy written on public.notes for select to authenticated using (tenant_id = (select auth.tenant_id()) and owner_id = (select auth.uid()))
-- good
create policy own on public.notes for select to authenticated using (tenant_id = (select auth.tenant_id()));
create policy written on public.notes for insert to authenticated with check (tenant_id = (select auth.tenant_id()));
create policy owner on public.notes to rowhouse_project using (true)
