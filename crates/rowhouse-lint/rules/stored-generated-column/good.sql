create table public.notes (body text not null, length bigint generated always as (char_length(body)) stored);
select tenancy.protect('public.notes');
