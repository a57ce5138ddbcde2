-- finds public.more; public.notes; public.rest; public.things
-- bad
-- good
create policy own on public.notes to authenticated using (tenant_id = (select auth.tenant_id()));
revoke all on public.more, public.rest, public.things from authenticated
