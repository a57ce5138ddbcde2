-- Distinguishes this database from others in stores that several use, such as Redis.
create table rowhouse.installation (
  id uuid not null default gen_random_uuid(),
  is_only boolean not null default true,
  constraint installation_pkey primary key (id),
  constraint installation_is_only_key unique (is_only),
  constraint installation_is_only_check check (is_only)
);
comment on table rowhouse.installation is 'one row: what distinguishes this database in stores that several use';
comment on column rowhouse.installation.id is 'random; a copy of the database has the same';
comment on column rowhouse.installation.is_only is 'true, so that there is no second row';

insert into rowhouse.installation default values;

alter table rowhouse.installation enable row level security;
alter table rowhouse.installation force row level security;
create policy owner_all on rowhouse.installation to rowhouse_owner using (true) with check (true);
