-- finds public.notes
-- bad
create function public.tenant() returns uuid language sql volatile as 'select auth.tenant_id()';
create policy own on public.notes to authenticated using (tenant_id = public.tenant())
-- good
create function public.tenant() returns uuid language sql volatile as 'select auth.tenant_id()';
-- once
create policy own on public.notes to authenticated using (tenant_id = (select public.tenant()))
