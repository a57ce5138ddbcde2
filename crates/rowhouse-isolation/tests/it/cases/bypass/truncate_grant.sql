-- finds public.more; public.notes
-- bad
grant truncate, references on public.notes to authenticated;
grant trigger on public.more to public
-- good
grant truncate on public.notes to service_role
