-- finds public.notes
-- bad
create policy own on public.notes to authenticated using (tenant_id = (select current_setting('app.tenant', true)::uuid))
-- good
create policy own on public.notes to authenticated using (tenant_id = (select nullif(current_setting('app.tenant', true), '')::uuid));
create policy own on public.more to authenticated using (tenant_id::text = (select current_setting('app.tenant', true)))
