-- finds public.more; public.notes; public.rest
-- bad
create policy role on public.notes to authenticated using ((select auth.role()) = 'authenticated');
create policy present on public.more for select to authenticated using (owner_id is not null);
create policy other on public.rest for insert to authenticated with check (tenant_id <> (select auth.uid()))
-- good
create policy role on public.notes to authenticated using ((select auth.role()) = 'authenticated' and tenant_id = (select auth.tenant_id()));
create policy present on public.more for select to authenticated using (owner_id is not null);
create policy tenant on public.more as restrictive to authenticated using (tenant_id = (select auth.tenant_id()))
