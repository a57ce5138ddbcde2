drop function public.todo_progress();
alter table public.todos drop column priority, drop column list_id;
drop table public.priorities;
drop table public.lists;
-- Removes the check of the dropped reference.
select tenancy.protect('public.todos');
