-- Settings of a transaction can be changed by any code that runs in it, so project code (triggers on auth.users,
-- cascades of its foreign keys) could forge the actor in the audit log. Where such code may run, the origin is stored
-- in a table before it does, and entries take it from there.
create table audit.origins (
  transaction_id xid8 not null,
  began_at timestamptz not null,
  origin jsonb not null,
  constraint origins_pkey primary key (transaction_id, began_at),
  constraint origins_origin_check check (jsonb_typeof(origin) = 'object')
);
comment on table audit.origins is
  'Who caused a running transaction, out of reach of the project''s code; removed by audit.prune once the transaction is over.';
comment on column audit.origins.transaction_id is 'The transaction.';
comment on column audit.origins.began_at is 'When it began: transaction ids of a restored database start again.';
comment on column audit.origins.origin is 'The settings rowhouse.actor, operation, request_id, tenant and address.';
alter table audit.origins enable row level security;
alter table audit.origins force row level security;
create policy owner_all on audit.origins to rowhouse_owner using (true) with check (true);

create function audit.origin() returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'actor', coalesce(nullif(current_setting('rowhouse.actor', true), ''), 'sql:' || session_user),
    'operation', nullif(current_setting('rowhouse.operation', true), ''),
    'request_id', nullif(current_setting('rowhouse.request_id', true), ''),
    'tenant', nullif(current_setting('rowhouse.tenant', true), ''),
    'address', nullif(current_setting('rowhouse.address', true), '')))
$$;
comment on function audit.origin() is 'The origin of the running transaction, by its settings.';
revoke execute on function audit.origin() from public;

create function audit.keep_origin() returns void
language sql security definer set search_path = '' as $$
  insert into audit.origins (transaction_id, began_at, origin)
  values (pg_current_xact_id(), transaction_timestamp(), audit.origin())
  on conflict do nothing
$$;
comment on function audit.keep_origin() is
  'Keeps who caused the running transaction for its later entries; only the first call in a transaction counts.';
revoke execute on function audit.keep_origin() from public;

create or replace function audit.write(
  source text, action text, target_kind text, target_id text,
  details jsonb default '{}', tenant_id uuid default null, address inet default null
) returns uuid
language sql security definer set search_path = '' as $$
  insert into audit.entries (source, action, actor, operation, request_id, tenant_id, target_kind, target_id, address, details)
  select $1, $2, said.origin ->> 'actor', said.origin ->> 'operation', said.origin ->> 'request_id',
    coalesce($6, (said.origin ->> 'tenant')::uuid), $3, $4, coalesce($7, (said.origin ->> 'address')::inet), $5
  from (select coalesce(
    (select o.origin from audit.origins o
     where o.transaction_id = pg_current_xact_id_if_assigned() and o.began_at = transaction_timestamp()),
    audit.origin()) as origin) said
  returning id
$$;

create or replace function audit.prune(of_source text, age interval) returns bigint
language plpgsql set search_path = '' as $$
declare
  removed bigint;
begin
  delete from audit.origins o where o.transaction_id < pg_snapshot_xmin(pg_current_snapshot())
    or o.began_at < clock_timestamp() - interval '1 day';
  perform set_config('audit.is_pruning', 'on', true);
  delete from audit.entries where id = any (array(
    select e.id from audit.entries e
    where e.source = of_source and e.occurred_at < clock_timestamp() - age limit 5000));
  get diagnostics removed = row_count;
  perform set_config('audit.is_pruning', 'off', true);
  return removed;
end
$$;

comment on column audit.entries.actor is
  'Who did it: a user''s id, a database role (anon, service_role), operator:NAME for a command by the account that ran it, system for the program, sql:LOGIN for SQL of an operator.';
