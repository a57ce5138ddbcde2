-- finds public.elsewhere
-- bad
reset role;
create foreign data wrapper nothing;
create server elsewhere foreign data wrapper nothing;
create foreign table public.elsewhere (id uuid) server elsewhere;
grant select on public.elsewhere to authenticated
-- good
reset role;
create foreign data wrapper nothing;
create server elsewhere foreign data wrapper nothing;
create foreign table public.elsewhere (id uuid) server elsewhere
