-- finds public.members; public.notes
-- bad
create policy own on public.notes for select to authenticated using (tenant_id = (select auth.tenant_id()))
-- good
create policy own on public.notes for select to authenticated using (tenant_id = (select auth.tenant_id()));
revoke insert, update, delete on public.notes, public.members from authenticated
