-- finds public.notes
-- bad
create policy own on public.notes using (tenant_id = (select auth.tenant_id()))
-- good
create policy own on public.notes to authenticated using (tenant_id = (select auth.tenant_id()))
