-- rowhouse: phase contract
-- rowhouse: allow ban-drop-function: no release calls it since 2026.11
drop function public.note_colors();
-- rowhouse: allow ban-drop-column: no release reads it since 2026.11
alter table public.notes drop column shade;
