-- rowhouse: phase contract
drop function public.note_colors();
alter table public.notes drop column shade;
