create table public.lists (
  id bigint generated always as identity primary key,
  name text not null
);
create table public.todos (
  id bigint generated always as identity primary key,
  title text not null,
  done boolean not null default false,
  rank int,
  list_id bigint references public.lists (id),
  details jsonb not null default '{}'
);
create table public.countries (code text primary key, name text not null);
insert into public.countries values ('DE', 'Germany'), ('NL', 'Netherlands');
select tenancy.protect('public.lists'), tenancy.protect('public.todos'), tenancy.share('public.countries');
grant select, insert, update, delete on public.lists, public.todos to authenticated;
-- a grant that row-level security alone has to make harmless
grant select, insert, update, delete on public.lists to anon;
create function public.open_todos() returns setof public.todos language sql stable as $$ select * from public.todos where not done $$;
create function public.add(a int, b int) returns int language sql immutable as $$ select a + b $$;
create view public.todo_titles with (security_invoker = true) as select id, title, tenant_id from public.todos;
grant select on public.todo_titles to authenticated;
