-- finds public.open_members
-- bad
reset role;
create publication changes for table public.open_members, public.notes
-- good
reset role;
create publication changes for table public.notes
