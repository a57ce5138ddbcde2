-- Plans with their quotas, what tenants have used, and the one function that counts it.
alter table tenancy.plans
  add column title text not null default '' constraint plans_title_check check (char_length(title) <= 200),
  add column trial_days int constraint plans_trial_days_check check (trial_days between 1 and 365),
  add column created_at timestamptz not null default now(),
  add column updated_at timestamptz not null default now();
comment on column tenancy.plans.title is 'display name';
comment on column tenancy.plans.trial_days is 'length of a trial; null: there is none';
comment on column tenancy.plans.created_at is 'when it was made';
comment on column tenancy.plans.updated_at is 'last change, also of its quotas';

create table tenancy.plan_quotas (
  plan text not null references tenancy.plans (name) on delete cascade,
  metric text not null check (metric ~ '^[a-z][a-z0-9_]{0,62}$'),
  soft_limit bigint check (soft_limit >= 0),
  hard_limit bigint check (hard_limit >= 0),
  period text not null default 'month' check (period in ('none', 'day', 'month')),
  constraint plan_quotas_pkey primary key (plan, metric),
  constraint plan_quotas_soft_limit_hard_limit_check check (soft_limit <= hard_limit),
  constraint plan_quotas_metric_period_check check (metric <> 'users' or period = 'none')
);
comment on table tenancy.plan_quotas is 'how much tenants with a plan may use';
comment on column tenancy.plan_quotas.plan is 'the plan';
comment on column tenancy.plan_quotas.metric is 'users, api_calls, storage, or a name of the product''s own';
comment on column tenancy.plan_quotas.soft_limit is 'from here on there is an event; null: none';
comment on column tenancy.plan_quotas.hard_limit is 'beyond it is refused; null: without limit';
comment on column tenancy.plan_quotas.period is 'what is counted anew each day or month (UTC), or never';

create table tenancy.tenant_quotas (
  tenant_id uuid not null references tenancy.tenants (id) on delete cascade,
  metric text not null check (metric ~ '^[a-z][a-z0-9_]{0,62}$'),
  soft_limit bigint check (soft_limit >= 0),
  hard_limit bigint check (hard_limit >= 0),
  period text not null default 'month' check (period in ('none', 'day', 'month')),
  updated_at timestamptz not null default now(),
  constraint tenant_quotas_pkey primary key (tenant_id, metric),
  constraint tenant_quotas_soft_limit_hard_limit_check check (soft_limit <= hard_limit),
  constraint tenant_quotas_metric_period_check check (metric <> 'users' or period = 'none')
);
comment on table tenancy.tenant_quotas is 'quotas of one tenant, in place of its plan''s';
comment on column tenancy.tenant_quotas.tenant_id is 'the tenant';
comment on column tenancy.tenant_quotas.metric is 'as in plan_quotas';
comment on column tenancy.tenant_quotas.soft_limit is 'from here on there is an event; null: none';
comment on column tenancy.tenant_quotas.hard_limit is 'beyond it is refused; null: without limit';
comment on column tenancy.tenant_quotas.period is 'what is counted anew each day or month (UTC), or never';
comment on column tenancy.tenant_quotas.updated_at is 'last change';

create table tenancy.usage (
  tenant_id uuid not null references tenancy.tenants (id) on delete cascade,
  metric text not null check (metric ~ '^[a-z][a-z0-9_]{0,62}$'),
  period text not null check (period in ('none', 'day', 'month')),
  period_start date not null,
  used bigint not null check (used >= 0),
  updated_at timestamptz not null default clock_timestamp(),
  constraint usage_pkey primary key (tenant_id, metric, period, period_start)
);
create index usage_metric_period_start_idx on tenancy.usage (metric, period_start, tenant_id);
create index usage_period_start_idx on tenancy.usage (period_start) where period <> 'none';
comment on table tenancy.usage is 'what tenants have used; users are counted from memberships instead';
comment on column tenancy.usage.tenant_id is 'the tenant';
comment on column tenancy.usage.metric is 'as in plan_quotas';
comment on column tenancy.usage.period is 'of its quota at that time; month without one';
comment on column tenancy.usage.period_start is 'first day of the period; -infinity where there is none';
comment on column tenancy.usage.used is 'the amount';
comment on column tenancy.usage.updated_at is 'when it was counted last';

do $$
declare
  name text;
begin
  foreach name in array array['plan_quotas', 'tenant_quotas', 'usage'] loop
    execute format('alter table tenancy.%I enable row level security', name);
    execute format('alter table tenancy.%I force row level security', name);
    execute format('create policy owner_all on tenancy.%I to rowhouse_owner using (true) with check (true)', name);
    perform tenancy.show_to_project(format('tenancy.%I', name)::regclass);
  end loop;
end
$$;

-- Servers then look anew who is beyond a limit.
create function tenancy.on_quotas_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_catalog.pg_notify('rowhouse_quotas', '');
  return null;
end
$$;
comment on function tenancy.on_quotas_changed() is 'Notifies the servers of changed quotas.';
create trigger on_quotas_changed after insert or update or delete or truncate on tenancy.plan_quotas
  for each statement execute function tenancy.on_quotas_changed();
create trigger on_quotas_changed after insert or update or delete or truncate on tenancy.tenant_quotas
  for each statement execute function tenancy.on_quotas_changed();
create trigger on_quotas_changed after update of plan on tenancy.tenants
  for each row when (old.plan is distinct from new.plan) execute function tenancy.on_quotas_changed();

-- The body is parsed here, so that no search path matters, and inlined: it is asked for every new member.
create function tenancy.quotas_of(p_tenant uuid)
returns table (metric text, soft_limit bigint, hard_limit bigint, period text, is_own boolean)
language sql stable rows 10
begin atomic
  select o.metric, o.soft_limit, o.hard_limit, o.period, true from tenancy.tenant_quotas o where o.tenant_id = p_tenant
  union all
  select q.metric, q.soft_limit, q.hard_limit, q.period, false
  from tenancy.tenants t join tenancy.plan_quotas q on q.plan = t.plan
  where t.id = p_tenant and not exists (
    select from tenancy.tenant_quotas o where o.tenant_id = p_tenant and o.metric = q.metric);
end;
comment on function tenancy.quotas_of(uuid) is 'The quotas of a tenant: its own, and those of its plan.';

create function tenancy.period_start(p_period text, p_at timestamptz) returns date
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case p_period when 'day' then (p_at at time zone 'UTC')::date
    when 'month' then date_trunc('month', p_at at time zone 'UTC')::date else date '-infinity' end
$$;
comment on function tenancy.period_start(text, timestamptz) is 'The first day of the day or month (UTC); -infinity for none.';

create function tenancy.note_usage(p_tenant uuid, p_metric text, p_before bigint, p_used bigint, p_soft bigint, p_hard bigint)
returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if p_before < p_soft and p_used >= p_soft then
    perform events.emit('tenancy.usage_warning', jsonb_build_object('tenant_id', p_tenant, 'metric', p_metric,
      'used', p_used, 'soft_limit', p_soft, 'hard_limit', p_hard), p_tenant);
  end if;
  if p_before < p_hard and p_used >= p_hard then
    perform events.emit('tenancy.usage_limit_reached', jsonb_build_object('tenant_id', p_tenant, 'metric', p_metric,
      'used', p_used, 'hard_limit', p_hard), p_tenant);
  end if;
end
$$;
comment on function tenancy.note_usage(uuid, text, bigint, bigint, bigint, bigint) is
  'Writes an event when a soft limit is reached, and one when a hard limit is.';

create function tenancy.refuse_usage(p_metric text, p_limit bigint, p_current bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception using errcode = 'RH429', message = 'usage_limit_exceeded',
    detail = jsonb_build_object('metric', p_metric, 'limit', p_limit, 'current', p_current,
      'remaining', greatest(p_limit - p_current, 0))::text;
end
$$;
comment on function tenancy.refuse_usage(text, bigint, bigint) is 'The refusal of what is beyond a hard limit.';
revoke execute on function tenancy.quotas_of(uuid), tenancy.period_start(text, timestamptz),
  tenancy.note_usage(uuid, text, bigint, bigint, bigint, bigint), tenancy.refuse_usage(text, bigint, bigint) from public;

-- The row is locked by the first to write it, so that many at a time do not exceed the limit together. What is refused is
-- rolled back.
create function tenancy.count_usage(tenant uuid, metric text, amount bigint default 1) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  quota record;
  total bigint;
begin
  if count_usage.metric in ('users', 'api_calls') then
    raise exception using errcode = 'invalid_parameter_value', message = format('%s are counted by the platform', metric);
  end if;
  select q.soft_limit, q.hard_limit, q.period into quota
  from (select) nothing left join tenancy.quotas_of(tenant) q on q.metric = count_usage.metric;
  insert into tenancy.usage as u (tenant_id, metric, period, period_start, used)
  values (tenant, count_usage.metric, coalesce(quota.period, 'month'),
    tenancy.period_start(coalesce(quota.period, 'month'), clock_timestamp()), greatest(amount, 0))
  on conflict on constraint usage_pkey
    do update set used = greatest(u.used + amount, 0), updated_at = clock_timestamp()
  returning u.used into total;
  if amount > 0 then
    if total > quota.hard_limit then
      perform tenancy.refuse_usage(count_usage.metric, quota.hard_limit, total - amount);
    end if;
    perform tenancy.note_usage(tenant, count_usage.metric, total - amount, total, quota.soft_limit, quota.hard_limit);
  end if;
  return total;
end
$$;
comment on function tenancy.count_usage(uuid, text, bigint) is
  'Adds to what a tenant has used of a metric and returns the total; beyond the hard limit it is refused with RH429. A negative amount gives back.';
revoke execute on function tenancy.count_usage(uuid, text, bigint) from public;
grant execute on function tenancy.count_usage(uuid, text, bigint) to rowhouse_project, service_role;
