-- finds public.open_members; public.plain
-- bad
create table public.plain (id uuid primary key)
-- good
create table public.plain (id uuid primary key);
select tenancy.protect('public.plain'), tenancy.share('public.open_members')
