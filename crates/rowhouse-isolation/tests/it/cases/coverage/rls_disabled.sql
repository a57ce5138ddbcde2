-- finds public.open; public.one_column
-- bad
create table public.open (id uuid primary key);
grant select on public.open to anon;
-- one column is enough
create table public.one_column (id uuid primary key, body text);
grant select (body) on public.one_column to authenticated
-- good
create table public.open (id uuid primary key);
select tenancy.protect('public.open');
grant select on public.open to authenticated;
create table public.same (id uuid primary key);
select tenancy.share('public.same')
