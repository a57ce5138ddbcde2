-- Limits of a tenant's callers of the data API. Read into memory by every server, never by a request.
create table tenancy.tenant_limits (
  tenant_id uuid not null references tenancy.tenants (id) on delete cascade,
  -- null: no limit of the tenant's own, in each column
  statement_timeout interval check (statement_timeout between interval '1 millisecond' and interval '1 day'),
  -- rows that one response carries, or one write touches
  max_rows bigint check (max_rows >= 1),
  -- in the planner's units, as shown by explain
  max_cost double precision check (max_cost > 0 and max_cost < 'infinity'),
  updated_at timestamptz not null default now(),
  constraint tenant_limits_pkey primary key (tenant_id)
);
alter table tenancy.tenant_limits enable row level security;
alter table tenancy.tenant_limits force row level security;
create policy owner_all on tenancy.tenant_limits to rowhouse_owner using (true) with check (true);

-- Notifies the servers, and bounds what they hold in memory.
create function tenancy.on_tenant_limits_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- 20 MB in a server's memory
  most constant int := 200000;
begin
  if tg_op = 'INSERT' and (select count(*) from tenancy.tenant_limits) > most then
    raise exception using errcode = 'program_limit_exceeded',
      message = format('limits can be set for at most %s tenants', most),
      hint = 'Set them for the role instead: alter role authenticated set …';
  end if;
  perform pg_catalog.pg_notify('rowhouse_limits', '');
  return null;
end
$$;
create trigger on_tenant_limits_changed after insert or update or delete or truncate on tenancy.tenant_limits
  for each statement execute function tenancy.on_tenant_limits_changed();
