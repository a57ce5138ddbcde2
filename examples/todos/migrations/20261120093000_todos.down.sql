drop function public.todo_progress();
drop table public.todos;
