-- finds public.heap
-- bad
create table public.heap (n int)
-- good
create table public.keyed (n int primary key)
