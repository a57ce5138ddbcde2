-- Processes that serve the data API. `migrate up` returns once each of them has read the schema anew.
create table rowhouse.processes (
  id uuid not null,
  host text not null,
  pid integer not null,
  schema_read_at timestamptz not null,
  seen_at timestamptz not null default clock_timestamp(),
  constraint processes_pkey primary key (id),
  constraint processes_host_check check (length(host) <= 255)
);
comment on table rowhouse.processes is 'processes that serve the data API';
comment on column rowhouse.processes.id is 'made up by the process at its start';
comment on column rowhouse.processes.host is 'name of the machine or container';
comment on column rowhouse.processes.pid is 'process id there';
comment on column rowhouse.processes.schema_read_at is 'when it began to read the schema that it serves, by the database''s clock';
comment on column rowhouse.processes.seen_at is 'when it last said that it runs, by the database''s clock';

alter table rowhouse.processes enable row level security;
alter table rowhouse.processes force row level security;
create policy owner_all on rowhouse.processes to rowhouse_owner using (true) with check (true);
