-- Lists that todos can be put on, and priorities that all tenants share.

create table public.lists (
  id bigint generated always as identity primary key,
  name text not null constraint lists_name_check check (length(trim(name)) between 1 and 80),
  created_at timestamptz not null default now()
);
select tenancy.protect('public.lists');
-- A name is unique within its tenant; two tenants may both have a list "Home".
alter table public.lists add constraint lists_tenant_id_name_key unique (tenant_id, name);
grant select, insert, update, delete on public.lists to authenticated;

-- The same for everybody; share() lets every signed-in user read it and no tenant write it.
create table public.priorities (
  name text primary key,
  rank integer not null constraint priorities_rank_key unique
);
select tenancy.share('public.priorities');

alter table public.todos
  add column list_id bigint constraint todos_list_id_fkey references public.lists (id) on delete set null,
  add column priority text constraint todos_priority_fkey references public.priorities (name);
create index todos_list_id_idx on public.todos (list_id);
-- Foreign keys bypass row-level security. Called again, protect() checks the new reference as well: a todo cannot
-- be put on the list of another tenant.
select tenancy.protect('public.todos');

-- Runs with the caller's rights, so it counts what the caller may see.
create function public.todo_progress() returns table (done bigint, total bigint)
language sql stable security invoker set search_path = ''
as $$
  select count(*) filter (where todos.done), count(*) from public.todos
$$;
