-- Backs the search of notes.
-- rowhouse: no-transation
-- rowhouse: lock-budget 2

-- rowhouse: phase expand
create index concurrently if not exists notes_body_idx on public.notes (body);
