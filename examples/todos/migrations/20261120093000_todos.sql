-- Todos: the first table of the product. Each row belongs to one tenant.

create table public.todos (
  id bigint generated always as identity primary key,
  title text not null constraint todos_title_check check (length(trim(title)) between 1 and 200),
  done boolean not null default false,
  created_at timestamptz not null default now()
);

comment on table public.todos is 'What somebody means to do.';

-- Adds tenant_id with its default, an index, forced row-level security and the policies. From here on nobody sees or
-- changes the row of another tenant, whatever the front end asks for.
select tenancy.protect('public.todos');

-- Which columns and verbs a signed-in user may use at all is a decision of the product, so it is written down.
grant select, insert, update, delete on public.todos to authenticated;
