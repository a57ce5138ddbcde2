-- finds public.notes
-- bad
alter table public.notes no force row level security
-- good
create policy own on public.notes to authenticated using (tenant_id = (select auth.tenant_id()))
