alter table public.notes add column length integer generated always as (char_length(body)) stored;
