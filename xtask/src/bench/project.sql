-- What the measurements need beyond the example project: three levels to embed, functions to call, a table to fill.

create table public.accounts (
  id bigint generated always as identity primary key,
  name text not null
);
create table public.projects (
  id bigint generated always as identity primary key,
  account_id bigint not null constraint projects_account_id_fkey references public.accounts (id),
  name text not null
);
create table public.tasks (
  id bigint generated always as identity primary key,
  project_id bigint not null constraint tasks_project_id_fkey references public.projects (id),
  title text not null,
  done boolean not null default false
);
create index projects_account_id_idx on public.projects (account_id);
create index tasks_project_id_idx on public.tasks (project_id);

-- Filled by imports and emptied before each measurement. Without references: those would cost both sides the same and
-- so hide what the import itself costs.
create table public.entries (
  id bigint generated always as identity primary key,
  title text not null,
  done boolean not null default false,
  created_at timestamptz not null default now()
);

select tenancy.protect('public.accounts');
select tenancy.protect('public.projects');
select tenancy.protect('public.tasks');
select tenancy.protect('public.entries');
grant select, insert, update, delete on public.accounts, public.projects, public.tasks, public.entries
  to authenticated;

create function public.project_progress(project bigint) returns table (done bigint, total bigint)
language sql stable security invoker set search_path = ''
as $$
  select count(*) filter (where tasks.done), count(*) from public.tasks where tasks.project_id = project
$$;

create function public.project_tasks(project bigint) returns setof public.tasks
language sql stable security invoker set search_path = ''
as $$
  select tasks.* from public.tasks where tasks.project_id = project order by tasks.id
$$;

-- What an import carries, for `insert … select`: without row-level security, so that reading it costs nothing extra.
create schema bench;
create table bench.entries as
  select 'entry number ' || n as title, n % 3 = 0 as done from generate_series(1, 100000) n;
grant usage on schema bench to authenticated;
grant select on bench.entries to authenticated;
