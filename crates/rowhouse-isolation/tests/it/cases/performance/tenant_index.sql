-- finds public.more; public.notes
-- bad
create policy own on public.notes to authenticated using (tenant_id = (select auth.tenant_id()));
create policy own on public.more to authenticated using (tenant_id = (select auth.tenant_id()));
drop index public.notes_tenant_id_idx, public.more_tenant_id_idx;
create index on public.notes (body, tenant_id);
create index on public.more (tenant_id) where is_public
-- good
create policy own on public.notes to authenticated using (tenant_id = (select auth.tenant_id()));
create policy own on public.more to authenticated using (tenant_id = (select auth.tenant_id()));
drop index public.more_tenant_id_idx;
create unique index on public.more (tenant_id, body)
