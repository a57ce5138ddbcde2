-- Everything by which an answer could depend on rows that its caller cannot read.
create table public.letters (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null default auth.tenant_id(),
  word text not null,
  code text not null,
  size int not null default 1,
  data jsonb not null default '{}',
  constraint letters_code_key unique (tenant_id, code)
);
create table public.replies (
  id uuid primary key default gen_random_uuid(),
  letter_id uuid constraint replies_letter_id_fkey references public.letters,
  note text not null default ''
);
-- A key over all tenants: what it tells remains, and is only that the value is taken.
create table public.handles (
  id uuid primary key default gen_random_uuid(),
  handle text not null constraint handles_handle_key unique,
  about text not null default ''
);
create table public.facts (id int primary key, name text not null);
insert into public.facts select n, 'fact ' || n from generate_series(1, 5000) n;
select tenancy.protect('public.letters'), tenancy.protect('public.replies'), tenancy.protect('public.handles'),
  tenancy.share('public.facts');
grant select, insert, update, delete on public.letters, public.replies, public.handles to authenticated;
grant select on public.facts to authenticated;
create view public.long_letters with (security_invoker = true) as select id, word, size from public.letters where size >= 1;
grant select on public.long_letters to authenticated;
-- Each would tell of a row by failing on it.
create function public.loud(public.letters) returns int language plpgsql stable as
  $$ begin if $1.word like 'secret%' then raise 'seen %', $1.word; end if; return 1; end $$;
create function public.ratio(public.letters) returns int language sql stable as $$ select 10 / $1.size $$;
create function public.letters_like(pattern text) returns setof public.letters language sql stable rows 100000 as
  $$ select * from public.letters where word like pattern $$;
