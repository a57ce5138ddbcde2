-- finds public.more; public.notes
-- bad
create policy own on public.notes to authenticated
  using (tenant_id = (select ((auth.jwt() -> 'user_metadata') ->> 'tenant')::uuid));
reset role;
create policy own on public.more to authenticated using (
  exists (select from auth.users u where u.id = (select auth.uid()) and u.raw_user_meta_data ->> 'tenant' = tenant_id::text))
-- good
create policy own on public.notes to authenticated
  using (tenant_id = (select ((auth.jwt() -> 'app_metadata') ->> 'tenant')::uuid))
