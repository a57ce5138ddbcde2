comment on table public.notes is 'Published as note_stream.';
