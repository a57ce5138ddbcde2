grant select, insert on public.notes to anon;
grant select on all tables in schema public to public;
alter default privileges in schema public grant select on tables to anon;
