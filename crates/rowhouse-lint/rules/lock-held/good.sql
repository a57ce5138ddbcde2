alter table public.notes validate constraint notes_body_check;
