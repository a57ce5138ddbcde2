alter table public.notes add column detail json;
