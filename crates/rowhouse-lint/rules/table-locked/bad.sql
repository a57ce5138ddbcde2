lock table public.notes in access exclusive mode;
alter table public.notes add column color text;
