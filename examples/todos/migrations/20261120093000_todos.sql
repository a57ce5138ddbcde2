-- Todos: the product's main table. Each row belongs to one tenant.

create table public.todos (
  id bigint generated always as identity primary key,
  title text not null constraint todos_title_check check (length(trim(title)) between 1 and 200),
  done boolean not null default false,
  created_at timestamptz not null default now(),
  list_id bigint constraint todos_list_id_fkey references public.lists (id) on delete set null,
  priority text constraint todos_priority_fkey references public.priorities (name)
);
comment on table public.todos is 'What somebody means to do.';

-- Without these, whoever deletes a list or a priority reads all todos.
create index todos_list_id_idx on public.todos (list_id);
create index todos_priority_idx on public.todos (priority);

-- Foreign keys bypass row-level security, so protect() checks references as well: a todo cannot be put on the list of
-- another tenant. A migration that adds a reference later calls it again.
select tenancy.protect('public.todos');
grant select, insert, update, delete on public.todos to authenticated;

-- Runs with the caller's rights, so it counts what the caller may see.
create function public.todo_progress() returns table (done bigint, total bigint)
language sql stable security invoker set search_path = ''
as $$
  select count(*) filter (where todos.done), count(*) from public.todos
$$;
