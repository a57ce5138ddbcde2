-- finds public.notes
-- bad
create policy chief on public.notes to authenticated using (
  tenant_id = (select auth.tenant_id()) and owner_id = '0198c0de-0000-7000-8000-000000000000')
-- good
create policy chief on public.notes to authenticated using (
  tenant_id = (select auth.tenant_id()) and owner_id = (select auth.uid()) and body = 'open')
