-- finds public.more; public.notes
-- bad
create policy own on public.notes to authenticated using (
  tenant_id = (select auth.tenant_id()) and body = (select auth.email()));
create policy own on public.more to authenticated using (
  tenant_id = (select auth.tenant_id()) and body = (select auth.jwt() ->> 'email'))
-- good
create policy own on public.notes to authenticated using (
  tenant_id = (select auth.tenant_id()) and body = (select auth.jwt() ->> 'email_verified'))
