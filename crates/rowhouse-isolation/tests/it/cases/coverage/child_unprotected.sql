-- finds public.child; public.grandchild; public.logs_2026
-- bad
create table public.child (primary key (id)) inherits (public.notes);
create table public.grandchild (primary key (id)) inherits (public.child);
grant select on public.child, public.grandchild to authenticated;
create table public.logs (id uuid, at date, primary key (id, at)) partition by range (at);
select tenancy.protect('public.logs');
create table public.logs_2026 partition of public.logs for values from ('2026-01-01') to ('2027-01-01');
grant select on public.logs to authenticated;
grant insert on public.logs_2026 to public
-- good
create table public.child (primary key (id)) inherits (public.notes);
create table public.logs (id uuid, at date, primary key (id, at)) partition by range (at);
select tenancy.protect('public.logs');
create table public.logs_2026 partition of public.logs for values from ('2026-01-01') to ('2027-01-01');
grant select on public.logs to authenticated
