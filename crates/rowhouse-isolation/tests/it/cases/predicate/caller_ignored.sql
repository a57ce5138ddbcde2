-- finds public.more; public.notes
-- bad
create policy member on public.notes to authenticated using (exists (select from public.open_members m where m.org_id = tenant_id));
create policy one on public.more to authenticated using (tenant_id = '0198c0de-0000-7000-8000-000000000000')
-- good
create policy member on public.notes to authenticated using (
  exists (select from public.open_members m where m.org_id = tenant_id and m.user_id = (select auth.uid())));
-- the subquery is under row-level security itself
create policy member on public.more to authenticated using (tenant_id in (select org_id from public.members))
