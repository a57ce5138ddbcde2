create function public.note_count() returns bigint language sql security definer as $$ select count(*) from notes $$;
