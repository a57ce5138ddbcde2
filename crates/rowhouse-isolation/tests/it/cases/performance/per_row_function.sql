-- finds public.more; public.notes
-- bad
create policy own on public.notes to authenticated using (tenant_id = auth.tenant_id() and owner_id = (select auth.uid()));
create policy own on public.more to authenticated using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
-- good
create policy own on public.notes to authenticated using (tenant_id = (select auth.tenant_id()) and owner_id = (select auth.uid()));
create policy own on public.more to authenticated using (tenant_id = (select nullif(current_setting('app.tenant', true), '')::uuid))
