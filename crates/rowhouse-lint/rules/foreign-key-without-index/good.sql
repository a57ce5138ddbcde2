create table public.replies (id uuid primary key, note_id bigint not null references public.notes (id));
create index replies_note_id_idx on public.replies (note_id);
select tenancy.protect('public.replies');
