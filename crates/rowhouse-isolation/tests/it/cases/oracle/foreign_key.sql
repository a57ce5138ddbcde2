-- finds public.items
-- bad
create table public.lists (id bigint generated always as identity primary key);
create table public.items (id bigint generated always as identity primary key, list_id bigint);
select tenancy.protect('public.lists'), tenancy.protect('public.items');
grant select, insert on public.lists, public.items to authenticated;
alter table public.items add constraint items_list_id_fkey foreign key (list_id) references public.lists (id)
-- good
create table public.lists (id bigint generated always as identity primary key);
create table public.items (id bigint generated always as identity primary key, list_id bigint);
select tenancy.protect('public.lists'), tenancy.protect('public.items');
grant select, insert on public.lists, public.items to authenticated;
alter table public.items add constraint items_list_id_fkey foreign key (list_id) references public.lists (id);
select tenancy.protect('public.items')
