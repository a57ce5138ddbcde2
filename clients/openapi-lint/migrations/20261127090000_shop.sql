create type public.mood as enum ('sad', 'happy', 'it''s fine');
create domain public.plate as text check (value ~ '^[A-Z]+$');
create table public.customers (
  id uuid primary key default gen_random_uuid(),
  name character varying(40) not null default 'nobody',
  mood public.mood not null default 'sad',
  born date default current_date,
  since date default '2026-01-01',
  seen timestamptz default now(),
  plate public.plate,
  letters char(1)[] default '{a}',
  balance numeric(20, 4) default 0.5,
  settings jsonb default '{"a": 1}',
  "odd {name}/ü" text
);
comment on table public.customers is 'Customers

Whoever has bought something.';
create table public.orders (
  id bigint generated always as identity primary key,
  customer_id uuid references public.customers,
  "select" text,
  picture bytea
);
create view public.order_counts as select customer_id, count(*) from public.orders group by customer_id;
create function public.find(mood public.mood, letters char(1)[] default null) returns setof public.customers
language sql stable as 'select * from public.customers where mood = find.mood';
create function public.touch() returns void language plpgsql as 'begin end';
create function public.total(variadic numbers int[]) returns bigint language sql immutable
as 'select sum(n) from unnest(numbers) n';
comment on function public.total(int[]) is 'Adds numbers';
