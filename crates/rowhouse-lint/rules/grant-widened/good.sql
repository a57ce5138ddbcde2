grant select, insert on public.notes to authenticated;
grant execute on function public.note_count() to anon;
grant usage on schema reports to anon;
