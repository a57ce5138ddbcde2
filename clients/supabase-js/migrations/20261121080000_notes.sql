-- A table whose key the client may choose, with an array: for upserts, bulk inserts and conflicts over foreign ids.
create table public.notes (
  id uuid primary key default gen_random_uuid(),
  body text not null constraint notes_body_check check (body <> ''),
  tags text[] not null default '{}',
  rank integer,
  meta jsonb
);
select tenancy.protect('public.notes');
grant select, insert, update, delete on public.notes to authenticated;

-- A child whose parent's key can be guessed by nobody but may be known.
create table public.comments (
  id uuid primary key default gen_random_uuid(),
  note_id uuid not null constraint comments_note_id_fkey references public.notes (id) on delete cascade,
  body text not null
);
select tenancy.protect('public.comments');
grant select, insert, update, delete on public.comments to authenticated;

create function public.add(a integer, b integer) returns integer
language sql immutable set search_path = ''
as $$ select a + b $$;

create function public.notes_like(term text) returns setof public.notes
language sql stable security invoker set search_path = ''
as $$ select * from public.notes where body ilike '%' || term || '%' $$;

create function public.rename_note(note uuid, new_body text) returns integer
language sql volatile security invoker set search_path = ''
as $$ with changed as (update public.notes set body = new_body where id = note returning 1) select count(*)::integer from changed $$;

create function public.refuse(reason text) returns void
language plpgsql volatile set search_path = ''
as $$ begin raise exception '%', reason using hint = 'ask again'; end $$;
