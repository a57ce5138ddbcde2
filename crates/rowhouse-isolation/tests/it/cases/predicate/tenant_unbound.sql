-- finds public.more; public.notes
-- bad
create policy own on public.notes to authenticated using (owner_id = (select auth.uid()));
create policy visible on public.more for select to authenticated using (tenant_id = (select auth.tenant_id()) or is_public)
-- good
create policy own on public.notes to authenticated using (owner_id = (select auth.uid()) and tenant_id = (select auth.tenant_id()))
