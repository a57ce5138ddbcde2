-- Column types that filters of their own exist for: ranges and documents.
create table public.talks (
  id bigint generated always as identity primary key,
  title text not null,
  minutes int4range not null,
  abstract text not null default '',
  document tsvector generated always as (to_tsvector('english', abstract)) stored,
  "spoken in" text,
  note_id uuid constraint talks_note_id_fkey references public.notes (id),
  second_note_id uuid constraint talks_second_note_id_fkey references public.notes (id)
);
select tenancy.protect('public.talks');
grant select, insert, update, delete on public.talks to authenticated;

-- A computed column.
create function public.length_of(talk public.talks) returns integer
language sql stable set search_path = ''
as $$ select upper(talk.minutes) - lower(talk.minutes) $$;

create function public.shortest_talk() returns public.talks
language sql stable security invoker set search_path = ''
as $$ select * from public.talks order by upper(minutes) - lower(minutes), id limit 1 $$;

create function public.total(numbers integer[]) returns bigint
language sql immutable set search_path = ''
as $$ select sum(n) from unnest(numbers) n $$;

create function public.delete_talks(pattern text) returns setof public.talks
language sql volatile security invoker set search_path = ''
as $$ delete from public.talks where title like pattern returning * $$;

create function public.doze() returns void
language sql volatile set search_path = ''
as $$ select pg_catalog.pg_sleep(20) $$;

-- A second schema that is served.
create schema reports;
grant usage on schema reports to authenticated;
create view reports.talks with (security_invoker) as select title, minutes from public.talks;
grant select on reports.talks to authenticated;
create function reports.count_talks() returns bigint
language sql stable security invoker set search_path = ''
as $$ select count(*) from reports.talks $$;
