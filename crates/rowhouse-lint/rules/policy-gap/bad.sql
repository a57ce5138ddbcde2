-- rowhouse: no-transaction
drop policy notes_read on public.notes;
create policy notes_read on public.notes for select to authenticated using (tenant_id = (select auth.tenant_id()));
