create trigger notes_changed after update on public.notes for each row execute function public.note_changed();
