alter table public.notes add column length integer;
update public.notes set length = char_length(body) where length is null;
