alter table public.notes add constraint notes_body_check check (char_length(body) < 1000) not valid;
alter table public.notes validate constraint notes_body_check;
