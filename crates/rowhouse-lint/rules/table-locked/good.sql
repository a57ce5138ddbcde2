alter table public.notes add column color text;
