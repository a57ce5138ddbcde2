-- How much a restore would lose: a restored copy has the heartbeat of the last second that is in it.
create table rowhouse.backup_heartbeat (
  is_only boolean not null default true,
  at timestamptz not null default clock_timestamp(),
  constraint backup_heartbeat_pkey primary key (is_only),
  constraint backup_heartbeat_is_only_check check (is_only)
) with (fillfactor = 50);
comment on table rowhouse.backup_heartbeat is 'one row, written each second while write-ahead log is received for backups';
comment on column rowhouse.backup_heartbeat.is_only is 'true, so that there is no second row';
comment on column rowhouse.backup_heartbeat.at is 'when it was last written, by the database''s clock';

insert into rowhouse.backup_heartbeat default values;

alter table rowhouse.backup_heartbeat enable row level security;
alter table rowhouse.backup_heartbeat force row level security;
create policy owner_all on rowhouse.backup_heartbeat to rowhouse_owner using (true) with check (true);
