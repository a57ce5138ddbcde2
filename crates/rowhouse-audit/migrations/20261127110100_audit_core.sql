-- The audit log. Entries are written in the transaction of the change; never updated, and deleted only after their
-- retention.
create schema audit;

create table audit.entries (
  id uuid not null default gen_random_uuid(),
  occurred_at timestamptz not null default clock_timestamp(),
  source text not null,
  action text not null,
  actor text not null,
  impersonator uuid,
  operation text,
  request_id text,
  organization_id uuid,
  tenant_id uuid,
  target_kind text not null,
  target_id text not null,
  address inet,
  user_agent text,
  details jsonb not null default '{}',
  constraint entries_pkey primary key (id),
  -- Infinity has no place in an order by time, and no form in JSON.
  constraint entries_occurred_at_check check (isfinite(occurred_at)),
  constraint entries_source_check check (source ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint entries_action_check check (length(action) between 1 and 100),
  constraint entries_actor_check check (length(actor) between 1 and 255),
  constraint entries_operation_check check (length(operation) <= 100),
  constraint entries_request_id_check check (length(request_id) <= 100),
  constraint entries_target_kind_target_id_check check (length(target_kind) between 1 and 100 and length(target_id) <= 255),
  constraint entries_user_agent_check check (length(user_agent) <= 512),
  constraint entries_details_check check (jsonb_typeof(details) = 'object' and length(details::text) <= 8192)
);
create index entries_occurred_at_idx on audit.entries (occurred_at);
create index entries_organization_id_occurred_at_idx on audit.entries (organization_id, occurred_at);
create index entries_actor_occurred_at_idx on audit.entries (actor, occurred_at);
create index entries_tenant_id_occurred_at_idx on audit.entries (tenant_id, occurred_at);
create index entries_target_idx on audit.entries (target_kind, target_id, occurred_at);

comment on schema audit is 'Who did what: written by rowhouse-audit and by triggers through audit.write.';
comment on table audit.entries is 'The audit log. Append-only: triggers refuse everything but inserts and audit.prune. Sealed by audit.chain.';
comment on column audit.entries.id is 'Identifies the entry.';
comment on column audit.entries.occurred_at is 'When it was written, by the database''s clock.';
comment on column audit.entries.source is 'The crate or module that wrote it, such as auth.';
comment on column audit.entries.action is 'What was done, such as login.';
comment on column audit.entries.actor is
  'Who did it: a user''s id, a database role (anon, service_role), operator:NAME for a command by the account that ran it, system for the program, sql:LOGIN for SQL of an operator.';
comment on column audit.entries.impersonator is
  'The operator who acted as the actor; null while nobody did. No reference: entries outlive users.';
comment on column audit.entries.operation is 'The named transaction; null outside of one.';
comment on column audit.entries.request_id is 'The request that caused it, as in logs and in x-request-id.';
comment on column audit.entries.organization_id is
  'The organization concerned: the tenant''s, unless the writer names one. No reference: entries outlive organizations.';
comment on column audit.entries.tenant_id is 'The tenant concerned, where there is one. No reference: entries outlive tenants.';
comment on column audit.entries.target_kind is 'What kind of thing it was done to, such as user.';
comment on column audit.entries.target_id is 'Which one.';
comment on column audit.entries.address is 'The client''s address.';
comment on column audit.entries.user_agent is 'What the client said it is, its header User-Agent.';
comment on column audit.entries.details is 'Details by source and action; 8 KiB at most.';

alter table audit.entries enable row level security;
alter table audit.entries force row level security;
-- No policy for updates.
create policy owner_select on audit.entries for select to rowhouse_owner using (true);
create policy owner_insert on audit.entries for insert to rowhouse_owner with check (true);
create policy owner_delete on audit.entries for delete to rowhouse_owner using (true);

create function audit.refuse_change() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception using errcode = 'insufficient_privilege',
    message = format('audit.%s is append-only: %s is refused', tg_table_name, tg_op);
end
$$;
comment on function audit.refuse_change() is 'Refuses changes of what is append-only.';
-- Deletes are judged by their rows (audit.refuse_removal), since audit.prune deletes, too.
create trigger append_only before update or truncate on audit.entries
  for each statement execute function audit.refuse_change();

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
comment on column audit.origins.origin is 'The settings rowhouse.actor, impersonator, operation, request_id, tenant, address and user_agent.';
alter table audit.origins enable row level security;
alter table audit.origins force row level security;
create policy owner_all on audit.origins to rowhouse_owner using (true) with check (true);

create function audit.origin() returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'actor', coalesce(nullif(current_setting('rowhouse.actor', true), ''), 'sql:' || session_user),
    'impersonator', nullif(current_setting('rowhouse.impersonator', true), ''),
    'operation', nullif(current_setting('rowhouse.operation', true), ''),
    'request_id', nullif(current_setting('rowhouse.request_id', true), ''),
    'tenant', nullif(current_setting('rowhouse.tenant', true), ''),
    'address', nullif(current_setting('rowhouse.address', true), ''),
    'user_agent', nullif(current_setting('rowhouse.user_agent', true), '')))
$$;
comment on function audit.origin() is 'The origin of the running transaction, by its settings.';
revoke execute on function audit.origin() from public;

create function audit.keep_origin() returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into audit.origins (transaction_id, began_at, origin)
  values (pg_current_xact_id(), transaction_timestamp(), audit.origin())
  on conflict do nothing
$$;
comment on function audit.keep_origin() is
  'Keeps who caused the running transaction for its later entries; only the first call in a transaction counts.';
revoke execute on function audit.keep_origin() from public;

-- The organization of a tenant, for entries whose writer names only the tenant. A hook: the schema of tenants writes
-- the body.
create function audit.organization_of(tenant uuid) returns uuid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select null::uuid
$$;
comment on function audit.organization_of(uuid) is 'The organization that a tenant belongs to; null if there is none.';
revoke execute on function audit.organization_of(uuid) from public;

-- Whether who acts belongs to the tenant that the caller's token names. A hook: the schema of tenants writes the body.
create function audit.acts_in(actor text, tenant uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select true
$$;
comment on function audit.acts_in(text, uuid) is
  'Whether an actor belongs to a tenant at this moment; true for who is no user.';
revoke execute on function audit.acts_in(text, uuid) from public;

-- Writes an entry; PL/pgSQL keeps the plan, which an SQL function makes anew. Who and why come from the transaction's settings (rowhouse.actor and others), which the program sets
-- with every named transaction; without them it is direct SQL of the login. The token's tenant counts while the actor belongs to
-- it: who has left writes nothing into its log, and is not watched there. Where the writer names the organization, the
-- tenant of the caller's token says nothing about the target and is left out.
create function audit.write(
  source text, action text, target_kind text, target_id text,
  details jsonb default '{}', tenant_id uuid default null, address inet default null, organization_id uuid default null
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  written uuid;
begin
  insert into audit.entries (source, action, actor, impersonator, operation, request_id, organization_id, tenant_id, target_kind, target_id,
    address, user_agent, details)
  select $1, $2, said.origin ->> 'actor', (said.origin ->> 'impersonator')::uuid, said.origin ->> 'operation', said.origin ->> 'request_id',
    coalesce($8, case when said.tenant is not null then audit.organization_of(said.tenant) end), said.tenant, $3, $4,
    coalesce($7, (said.origin ->> 'address')::inet), left(said.origin ->> 'user_agent', 512), $5
  from (
    select known.origin, case when $6 is not null or $8 is not null then $6
        when audit.acts_in(known.origin ->> 'actor', (known.origin ->> 'tenant')::uuid) then (known.origin ->> 'tenant')::uuid end as tenant
    from (select coalesce(
      (select o.origin from audit.origins o
       where o.transaction_id = pg_current_xact_id_if_assigned() and o.began_at = transaction_timestamp()),
      audit.origin()) as origin) known) said
  returning entries.id into written;
  return written;
end
$$;
comment on function audit.write(text, text, text, text, jsonb, uuid, inet, uuid) is
  'Writes an entry in the running transaction; actor, request, operation and address come from its settings.';
revoke execute on function audit.write(text, text, text, text, jsonb, uuid, inet, uuid) from public;
