-- rowhouse: no-transaction
create index concurrently if not exists notes_body_idx on public.notes (body);
