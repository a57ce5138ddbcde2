drop function public.todo_progress();
alter table public.todos drop column priority, drop column list_id;
drop table public.priorities;
drop table public.lists;
-- Takes the guard of the dropped reference away.
select tenancy.protect('public.todos');
