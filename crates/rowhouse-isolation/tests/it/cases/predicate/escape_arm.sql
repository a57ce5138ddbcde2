-- finds public.more; public.notes
-- bad
create policy staff on public.notes for select to authenticated using (tenant_id = (select auth.tenant_id()) or (select auth.has_permission('all:view')));
create policy staff on public.more for select to authenticated using (
  case when (select auth.has_permission('all:view')) then true else tenant_id = (select auth.tenant_id()) end)
-- good
create policy staff on public.notes for select to authenticated using (tenant_id = (select auth.tenant_id()) and (select auth.has_permission('all:view')))
