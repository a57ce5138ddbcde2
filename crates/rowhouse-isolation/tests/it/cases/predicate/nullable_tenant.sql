-- finds public.notes
-- bad
create policy own on public.notes to authenticated using (tenant_id = (select auth.tenant_id()));
alter table public.notes alter column tenant_id drop not null
-- good
create policy own on public.notes to authenticated using (tenant_id = (select auth.tenant_id()))
