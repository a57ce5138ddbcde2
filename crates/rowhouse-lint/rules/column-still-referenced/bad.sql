create function public.note_colors() returns setof text language sql as $$ select color from public.notes $$;
alter table public.notes drop column color;
