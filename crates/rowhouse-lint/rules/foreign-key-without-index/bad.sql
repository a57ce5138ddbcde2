create table public.replies (id uuid primary key, note_id bigint not null references public.notes (id));
select tenancy.protect('public.replies');
