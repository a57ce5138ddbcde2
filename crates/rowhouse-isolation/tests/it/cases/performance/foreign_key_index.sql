-- finds public.more; public.things
-- bad
alter table public.more add column note_id uuid references public.notes (id);
create index on public.more (body, note_id);
alter table public.things add column note_id uuid references public.notes (id)
-- good
alter table public.more add column note_id uuid references public.notes (id);
create index on public.more (tenant_id, note_id);
alter table public.rest add column note_id uuid references public.notes (id);
create index on public.rest (note_id, body);
alter table public.notes add column thing_id uuid references public.things (id)
