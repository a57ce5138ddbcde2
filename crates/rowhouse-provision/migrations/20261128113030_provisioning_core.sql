-- Provisioning of tenants: a run with steps for each.
create schema provisioning;
comment on schema provisioning is 'What is done for new tenants, step by step.';
grant usage on schema provisioning to service_role, rowhouse_project;

create table provisioning.runs (
  tenant_id uuid not null,
  organization_id uuid not null references tenancy.organizations (id) on delete cascade,
  status text not null default 'pending' check (status in ('pending', 'running', 'done', 'undoing', 'undone')),
  is_new boolean not null,
  requested_by text not null default coalesce(nullif(current_setting('rowhouse.actor', true), ''), 'sql:' || session_user)
    check (length(requested_by) between 1 and 255),
  attempts int not null default 0,
  error text check (char_length(error) <= 500),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  finished_at timestamptz,
  constraint runs_pkey primary key (tenant_id)
);
create index runs_organization_id_idx on provisioning.runs (organization_id);
create index runs_updated_at_idx on provisioning.runs (updated_at) where status in ('pending', 'running', 'undoing');
create index runs_finished_at_idx on provisioning.runs (finished_at) where finished_at is not null;
comment on table provisioning.runs is 'provisioning of tenants; one run each';
comment on column provisioning.runs.tenant_id is 'the tenant. No reference: the run outlives a tenant that was rolled back';
comment on column provisioning.runs.organization_id is 'its organization';
comment on column provisioning.runs.status is 'pending, running, done; undoing, undone: rolled back';
comment on column provisioning.runs.is_new is 'whether the tenant was made for this run, so that a rollback removes it';
comment on column provisioning.runs.requested_by is 'who asked for it, as in the audit log';
comment on column provisioning.runs.attempts is 'runs of the job, also those that were cut off';
comment on column provisioning.runs.error is 'why the last of them failed';
comment on column provisioning.runs.created_at is 'when it was asked for';
comment on column provisioning.runs.updated_at is 'last sign of life';
comment on column provisioning.runs.finished_at is 'when it was done or undone';

create table provisioning.steps (
  tenant_id uuid not null references provisioning.runs (tenant_id) on delete cascade,
  position smallint not null,
  name text not null check (name in ('records', 'roles', 'defaults', 'storage', 'hook', 'welcome')),
  status text not null default 'pending' check (status in ('pending', 'begun', 'done', 'undone')),
  attempts int not null default 0,
  error text check (char_length(error) <= 500),
  result jsonb not null default '{}' check (jsonb_typeof(result) = 'object'),
  started_at timestamptz,
  finished_at timestamptz,
  constraint steps_pkey primary key (tenant_id, position),
  constraint steps_tenant_id_name_key unique (tenant_id, name)
);
comment on table provisioning.steps is 'steps of runs, taken in order and taken back in reverse';
comment on column provisioning.steps.tenant_id is 'the run';
comment on column provisioning.steps.position is 'the order, from 1';
comment on column provisioning.steps.name is 'what is done: records, roles, defaults, storage, hook or welcome';
comment on column provisioning.steps.status is 'pending; begun: perhaps done; done; undone';
comment on column provisioning.steps.attempts is 'how often it was tried';
comment on column provisioning.steps.error is 'why the last try failed';
comment on column provisioning.steps.result is 'what it has done, from which it is taken back';
comment on column provisioning.steps.started_at is 'when it was tried first';
comment on column provisioning.steps.finished_at is 'when it was done or undone';

create table provisioning.storage_prefixes (
  tenant_id uuid not null references tenancy.tenants (id) on delete cascade,
  prefix text not null check (prefix ~ '^tenants/[0-9a-f-]{36}/$'),
  created_at timestamptz not null default now(),
  constraint storage_prefixes_pkey primary key (tenant_id),
  constraint storage_prefixes_prefix_key unique (prefix)
);
comment on table provisioning.storage_prefixes is 'where tenants'' files are';
comment on column provisioning.storage_prefixes.tenant_id is 'the tenant';
comment on column provisioning.storage_prefixes.prefix is 'beginning of the names of its files, with a final slash';
comment on column provisioning.storage_prefixes.created_at is 'when it was reserved';

do $$
declare
  name text;
begin
  foreach name in array array['runs', 'steps', 'storage_prefixes'] loop
    execute format('alter table provisioning.%I enable row level security', name);
    execute format('alter table provisioning.%I force row level security', name);
    execute format('create policy owner_all on provisioning.%I to rowhouse_owner using (true) with check (true)', name);
    perform tenancy.show_to_project(format('provisioning.%I', name)::regclass);
  end loop;
end
$$;
