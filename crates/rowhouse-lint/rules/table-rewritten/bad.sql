-- rowhouse: no-transaction
cluster public.notes using notes_pkey;
vacuum full public.notes;
alter table public.notes set unlogged;
