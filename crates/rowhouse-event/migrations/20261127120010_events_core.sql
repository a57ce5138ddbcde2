-- The outbox of events. An event is written in the transaction in which it happens, and never changed.
create schema events;
grant usage on schema events to service_role;

create table events.outbox (
  id bigint generated always as identity,
  txid xid8 not null default pg_current_xact_id(),
  kind text not null,
  tenant_id uuid,
  payload jsonb not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  actor text not null,
  request_id text,
  constraint outbox_pkey primary key (txid, id),
  constraint outbox_kind_check check (kind ~ '^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*){0,4}$' and length(kind) <= 100),
  constraint outbox_payload_check check (octet_length(payload::text) <= 65536),
  constraint outbox_actor_check check (length(actor) between 1 and 255),
  constraint outbox_request_id_check check (length(request_id) <= 100)
);
create index outbox_tenant_id_created_at_idx on events.outbox (tenant_id, created_at);
create index outbox_created_at_idx on events.outbox (created_at);

comment on schema events is 'What has happened: written by rowhouse-event and by SQL through events.emit.';
comment on table events.outbox is
  'The outbox. Append-only; readers go through it by (txid, id), below the oldest transaction that runs.';
comment on column events.outbox.id is 'Orders the events of a transaction.';
comment on column events.outbox.txid is 'The transaction that wrote it.';
comment on column events.outbox.kind is 'What has happened, such as auth.user_created.';
comment on column events.outbox.tenant_id is 'The tenant concerned, where there is one. No reference: events outlive tenants.';
comment on column events.outbox.payload is 'Details; 64 KiB at most.';
comment on column events.outbox.created_at is 'When it was written, by the database''s clock.';
comment on column events.outbox.actor is
  'Who did it: a user''s id, a database role, system for the program, sql:LOGIN for SQL outside of a named transaction.';
comment on column events.outbox.request_id is 'The request that caused it, as in logs and in x-request-id.';

alter table events.outbox enable row level security;
alter table events.outbox force row level security;
-- No policy for updates.
create policy owner_select on events.outbox for select to rowhouse_owner using (true);
create policy owner_insert on events.outbox for insert to rowhouse_owner with check (true);
create policy owner_delete on events.outbox for delete to rowhouse_owner using (true);

-- Writes an event, and notifies once in each transaction: PostgreSQL drops duplicate notifications.
create function events.emit(kind text, payload jsonb default '{}', tenant_id uuid default null) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  made bigint;
begin
  insert into events.outbox (kind, payload, tenant_id, actor, request_id)
  values (emit.kind, coalesce(emit.payload, '{}'),
    coalesce(emit.tenant_id, nullif(current_setting('rowhouse.tenant', true), '')::uuid),
    coalesce(nullif(current_setting('rowhouse.actor', true), ''), 'sql:' || session_user),
    nullif(current_setting('rowhouse.request_id', true), ''))
  returning id into made;
  perform pg_notify('rowhouse_events', '');
  return made;
end
$$;
comment on function events.emit(text, jsonb, uuid) is
  'Writes an event in the running transaction; actor, request and, unless given, tenant come from its settings.';
revoke execute on function events.emit(text, jsonb, uuid) from public;
grant execute on function events.emit(text, jsonb, uuid) to service_role;

-- Removes events that are older than ages[1] seconds, at most 5000 in one call; returns how many.
create function events.prune(ages double precision[]) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  removed bigint;
begin
  delete from events.outbox o using (
    select e.txid, e.id from events.outbox e
    where e.created_at < clock_timestamp() - make_interval(secs => ages[1])
    order by e.created_at limit 5000) old
  where (o.txid, o.id) = (old.txid, old.id);
  get diagnostics removed = row_count;
  return removed;
end
$$;
comment on function events.prune(double precision[]) is 'Removes events past their retention, 5000 in one call.';
revoke execute on function events.prune(double precision[]) from public;
