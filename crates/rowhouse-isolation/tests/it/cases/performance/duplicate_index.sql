-- finds public.notes
-- bad
create index again on public.notes (tenant_id)
-- good
create index on public.notes (tenant_id, body);
create index on public.notes (tenant_id) where is_public;
create index on public.notes (tenant_id desc)
