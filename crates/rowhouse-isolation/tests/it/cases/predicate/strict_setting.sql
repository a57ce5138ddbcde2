-- finds public.more; public.notes
-- bad
create policy own on public.notes to authenticated using (tenant_id = (select nullif(current_setting('app.tenant'), '')::uuid));
create policy own on public.more to authenticated using (tenant_id = (select nullif(current_setting('app.tenant', false), '')::uuid))
-- good
create policy own on public.notes to authenticated using (tenant_id = (select nullif(current_setting('app.tenant', true), '')::uuid))
