-- finds public.notes
-- bad
create policy one on public.notes for select to authenticated using (tenant_id = (select auth.tenant_id()));
create policy two on public.notes for select to authenticated using ((tenant_id = (select   auth.tenant_id())))
-- good
create policy one on public.notes for select to authenticated using (tenant_id = (select auth.tenant_id()));
create policy two on public.notes for delete to authenticated using (tenant_id = (select auth.tenant_id()))
