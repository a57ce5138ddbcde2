-- finds public.notes
-- bad
create policy own on public.notes as restrictive to authenticated using (tenant_id = (select auth.tenant_id()))
-- good
create policy own on public.notes as restrictive to authenticated using (tenant_id = (select auth.tenant_id()));
create policy visible on public.notes to authenticated using (is_public)
