create table public.notes (id bigint generated always as identity primary key, body text not null);
select tenancy.protect('public.notes');
create trigger notes_changed after update on public.notes for each row execute function public.note_changed();
