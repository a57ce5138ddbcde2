-- What is counted by the platform: users, when they become members, and API calls, which servers count in memory.

create function tenancy.check_user_quota() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  quota record;
  present bigint;
begin
  select q.soft_limit, q.hard_limit into quota from tenancy.quotas_of(new.tenant_id) q where q.metric = 'users';
  if not found or exists (
      select from tenancy.memberships m where m.tenant_id = new.tenant_id and m.user_id = new.user_id) then
    return new;
  end if;
  -- members are added one after the other
  perform from tenancy.tenants t where t.id = new.tenant_id for no key update;
  select count(*) into present from tenancy.memberships m where m.tenant_id = new.tenant_id;
  if present >= quota.hard_limit then
    perform tenancy.refuse_usage('users', quota.hard_limit, present);
  end if;
  perform tenancy.note_usage(new.tenant_id, 'users', present, present + 1, quota.soft_limit, quota.hard_limit);
  return new;
end
$$;
comment on function tenancy.check_user_quota() is 'Refuses a member beyond the tenant''s quota of users; suspended ones count.';
create trigger check_user_quota before insert on tenancy.memberships
  for each row execute function tenancy.check_user_quota();

-- In the order of ids, so that servers that write at the same time do not wait for each other in a circle.
create function tenancy.count_calls(tenants uuid[], calls bigint[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  counted record;
begin
  perform set_config('rowhouse.actor', 'system', true);
  for counted in
    with asked as (
      select c.tenant, c.amount, q.soft_limit, q.hard_limit, coalesce(q.period, 'month') as period
      from unnest(tenants, calls) as c (tenant, amount)
      join tenancy.tenants t on t.id = c.tenant and t.is_open
      left join lateral (select * from tenancy.quotas_of(c.tenant) f where f.metric = 'api_calls') q on true
    ), added as (
      insert into tenancy.usage as u (tenant_id, metric, period, period_start, used)
      select a.tenant, 'api_calls', a.period, tenancy.period_start(a.period, clock_timestamp()), a.amount
      from asked a order by a.tenant
      on conflict on constraint usage_pkey
        do update set used = u.used + excluded.used, updated_at = clock_timestamp()
      returning u.tenant_id, u.used
    )
    select a.tenant, d.used - a.amount as before, d.used, a.soft_limit, a.hard_limit
    from added d join asked a on a.tenant = d.tenant_id
    where d.used >= least(a.soft_limit, a.hard_limit)
  loop
    perform tenancy.note_usage(counted.tenant, 'api_calls', counted.before, counted.used, counted.soft_limit, counted.hard_limit);
  end loop;
end
$$;
comment on function tenancy.count_calls(uuid[], bigint[]) is 'Adds API calls to what tenants have used; refuses nothing.';

create function tenancy.tenants_beyond_calls(most int)
returns table (tenant_id uuid, hard_limit bigint, used bigint, ends_at timestamptz)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select u.tenant_id, q.hard_limit, u.used,
    case u.period when 'day' then (u.period_start + interval '1 day') at time zone 'UTC'
      when 'month' then (u.period_start + interval '1 month') at time zone 'UTC' end
  from tenancy.usage u
  join tenancy.tenants t on t.id = u.tenant_id
  left join tenancy.tenant_quotas o on o.tenant_id = u.tenant_id and o.metric = u.metric
  left join tenancy.plan_quotas p on p.plan = t.plan and p.metric = u.metric
  cross join lateral (
    select case when o.tenant_id is null then p.hard_limit else o.hard_limit end as hard_limit,
      case when o.tenant_id is null then p.period else o.period end as period) q
  where u.metric = 'api_calls' and u.used >= q.hard_limit and u.period = q.period
    and u.period_start in (tenancy.period_start('day', now()), tenancy.period_start('month', now()), date '-infinity')
    and u.period_start = tenancy.period_start(u.period, now())
  limit most
$$;
comment on function tenancy.tenants_beyond_calls(int) is
  'Tenants that have used up their API calls, their limit, what they used, and when they may call again; null: never by itself.';

create function tenancy.usage_of(p_tenant uuid)
returns table (metric text, soft_limit bigint, hard_limit bigint, period text, is_own boolean, period_start date, used bigint)
language sql stable rows 10 set search_path = pg_catalog, pg_temp as $$
  with quotas as (select * from tenancy.quotas_of(p_tenant)),
  named as (
    select q.metric from quotas q
    union select 'users'
    union select u.metric from tenancy.usage u where u.tenant_id = p_tenant and u.period_start in (
      tenancy.period_start('day', now()), tenancy.period_start('month', now()), date '-infinity'))
  select n.metric, q.soft_limit, q.hard_limit, p.period, coalesce(q.is_own, false),
    nullif(tenancy.period_start(p.period, now()), date '-infinity'),
    case when n.metric = 'users' then (select count(*) from tenancy.memberships m where m.tenant_id = p_tenant)
      else coalesce((
        select u.used from tenancy.usage u where u.tenant_id = p_tenant and u.metric = n.metric and u.period = p.period
          and u.period_start = tenancy.period_start(p.period, now())), 0) end
  from named n
  left join quotas q on q.metric = n.metric
  cross join lateral (
    select coalesce(q.period, case when n.metric = 'users' then 'none' else 'month' end) as period) p
  order by n.metric
$$;
comment on function tenancy.usage_of(uuid) is 'What a tenant has used in the present periods, beside its quotas.';

create function tenancy.prune_usage(ages double precision[]) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  removed bigint;
begin
  delete from tenancy.usage u where u.ctid = any (array(
    select o.ctid from tenancy.usage o
    where o.period <> 'none' and o.period_start < (clock_timestamp() - make_interval(secs => ages[1]))::date limit 5000));
  get diagnostics removed = row_count;
  return removed;
end
$$;
comment on function tenancy.prune_usage(double precision[]) is
  'Removes usage of periods that began longer than ages[1] seconds ago, 5000 rows in one call; returns how many.';
revoke execute on function tenancy.count_calls(uuid[], bigint[]), tenancy.tenants_beyond_calls(int), tenancy.usage_of(uuid),
  tenancy.prune_usage(double precision[]) from public;
