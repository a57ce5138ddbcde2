create publication everything for all tables;
alter table public.notes replica identity full;
