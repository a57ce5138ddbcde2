-- Development data, loaded when `rowhouse up` creates the project's database. Tenants come with their users' sign-up,
-- so only what all tenants share is seeded here.
insert into public.priorities (name, rank) values
  ('low', 10),
  ('normal', 20),
  ('high', 30)
on conflict (name) do nothing;
