drop table public.priorities;
drop table public.lists;
