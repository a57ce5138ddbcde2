-- Processes poll for changes in case a notification is lost, so polling has to be cheap: one number that changes with
-- the ring. Triggers count and notify, so that changes by hand are announced like those of the program.
create table auth.key_version (
  id boolean not null default true,
  version bigint not null,
  constraint key_version_pkey primary key (id),
  constraint key_version_id_check check (id)
);
comment on table auth.key_version is 'One row: how often signing keys or revocations have changed.';
comment on column auth.key_version.id is 'True; there is one row.';
comment on column auth.key_version.version is 'Counts changes of auth.signing_keys and auth.api_keys.revoked_at.';
alter table auth.key_version enable row level security;
alter table auth.key_version force row level security;
create policy owner_all on auth.key_version to rowhouse_owner using (true) with check (true);
insert into auth.key_version (version) values (0);

create function auth.count_key_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update auth.key_version set version = version + 1;
  perform pg_notify('rowhouse_keys', '');
  return null;
end
$$;
comment on function auth.count_key_change() is 'Notifies every process that keys have changed.';
create trigger changed after insert or update or delete on auth.signing_keys
  for each statement execute function auth.count_key_change();
create trigger changed after delete or update of revoked_at on auth.api_keys
  for each statement execute function auth.count_key_change();
