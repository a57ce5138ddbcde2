-- finds public.more; public.notes; public.things
-- bad
create policy own on public.notes for update to authenticated
  using (tenant_id = (select auth.tenant_id())) with check (owner_id = (select auth.uid()));
create policy own on public.more to authenticated using (tenant_id = (select auth.tenant_id())) with check (true);
create policy own on public.things for update to authenticated using (owner_id = (select auth.uid())) with check (true)
-- good
create policy own on public.notes for update to authenticated using (tenant_id = (select auth.tenant_id()));
create policy own on public.more to authenticated
  using (tenant_id = (select auth.tenant_id()) and is_public) with check (tenant_id = (select auth.tenant_id()));
create policy own on public.rest for update to authenticated using (tenant_id = (select auth.tenant_id())) with check (false)
