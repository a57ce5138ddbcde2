-- What has to survive a failover or a restore, where the replication slot is gone: whether backups are wanted. And whether this
-- database is a copy, whose jobs rest.
create table rowhouse.backup_state (
  is_only boolean not null default true,
  wanted_since timestamptz,
  copy_of text,
  constraint backup_state_pkey primary key (is_only),
  constraint backup_state_is_only_check check (is_only)
);
comment on table rowhouse.backup_state is 'one row: whether backups are wanted, and whether this database is a restored copy';
comment on column rowhouse.backup_state.is_only is 'true, so that there is no second row';
comment on column rowhouse.backup_state.wanted_since is 'when `backup create` was first run; null after `backup disable` and in a copy';
comment on column rowhouse.backup_state.copy_of is 'the backup of which this database is a copy; null in an original and after `backup activate`';

insert into rowhouse.backup_state default values;

alter table rowhouse.backup_state enable row level security;
alter table rowhouse.backup_state force row level security;
create policy owner_all on rowhouse.backup_state to rowhouse_owner using (true) with check (true);
