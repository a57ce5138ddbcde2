-- Backs the search of notes.
-- rowhouse: no-transaction
-- rowhouse: lock-budget 2s
-- rowhouse: phase expand
create index concurrently if not exists notes_body_idx on public.notes (body);
