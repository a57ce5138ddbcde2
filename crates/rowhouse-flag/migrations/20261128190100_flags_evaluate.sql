-- What a flag is for a caller. `rowhouse-flag/src/evaluate.rs` decides the same from memory; a test compares them.

create function flags.plan_of(tenant uuid) returns text
language sql stable parallel safe set search_path = pg_catalog, pg_temp as $$
  select t.plan from tenancy.tenants t where t.id = tenant
$$;
comment on function flags.plan_of(uuid) is 'The plan of a tenant, by its name; null without one.';
revoke execute on function flags.plan_of(uuid) from public;

create function flags.tenants_of_plans(of_plans text[]) returns table (tenant_id uuid, plan text)
language sql stable parallel safe set search_path = pg_catalog, pg_temp as $$
  select t.id, t.plan from tenancy.tenants t where t.plan = any (of_plans)
$$;
comment on function flags.tenants_of_plans(text[]) is 'The tenants that have one of these plans.';
revoke execute on function flags.tenants_of_plans(text[]) from public;

-- Processes know the plans of those tenants whose plan a rule names.
create function flags.on_plan_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (
    select from flags.rules r
    where new.plan = any (r.plans) or (tg_op = 'UPDATE' and old.plan = any (r.plans))) then
    perform pg_catalog.pg_notify('rowhouse_flags', '');
  end if;
  return null;
end
$$;
comment on function flags.on_plan_changed() is 'Notifies the processes of a tenant whose plan a rule names, or did.';
create trigger flags_on_tenant_created after insert on tenancy.tenants
  for each row when (new.plan is not null) execute function flags.on_plan_changed();
create trigger flags_on_plan_changed after update of plan on tenancy.tenants
  for each row when (old.plan is distinct from new.plan) execute function flags.on_plan_changed();

create function flags.bucket(flag text, subject uuid) returns integer
language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp as $$
  select (('x' || encode(substr(sha256(convert_to(flag || ':' || subject::text, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint
    % 10000)::integer
$$;
comment on function flags.bucket(text, uuid) is
  'A subject''s place among 10000, for this flag: the first 4 bytes of SHA-256, modulo 10000. It never changes.';
revoke execute on function flags.bucket(text, uuid) from public;

create function flags.weighted(variants text[], weights integer[], bucket integer) returns text
language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp as $$
  select v.name
  from (
    select u.name, u.at, sum(u.weight) over (order by u.at) as upper, sum(u.weight) over () as total
    from unnest(variants, weights) with ordinality as u (name, weight, at)) v
  where bucket * v.total < v.upper * 10000
  order by v.at
  limit 1
$$;
comment on function flags.weighted(text[], integer[], integer) is 'The variant into whose share of the 10000 buckets this one falls; null if all weights are 0.';
revoke execute on function flags.weighted(text[], integer[], integer) from public;

create function flags.chosen(
  of_flag text, organization uuid, tenant uuid, member uuid,
  out value text, out percentage numeric, out reason text, out rule integer)
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  select o.value, o.scope || '_override' into value, reason
  from flags.overrides o
  where o.flag = of_flag and o.subject in (member, tenant, organization)
    and o.subject = case o.scope when 'user' then member when 'tenant' then tenant else organization end
  order by case o.scope when 'user' then 1 when 'tenant' then 2 else 3 end
  limit 1;
  if found then
    return;
  end if;
  select r.value, r.percentage, 'rule', r.position into value, percentage, reason, rule
  from flags.rules r
  where r.flag = of_flag
    and (r.organizations is null or organization = any (r.organizations))
    and (r.tenants is null or tenant = any (r.tenants))
    and (r.users is null or member = any (r.users))
    and (r.plans is null or flags.plan_of(tenant) = any (r.plans))
  order by r.position
  limit 1;
end
$$;
comment on function flags.chosen(text, uuid, uuid, uuid) is
  'The override or rule that decides, with its value; all null if none does.';
revoke execute on function flags.chosen(text, uuid, uuid, uuid) from public;

create function flags.evaluate(
  of_flag text, organization uuid, tenant uuid, member uuid,
  out is_on boolean, out variant text, out reason text, out rule integer, out bucket integer)
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  flag flags.flags;
  chosen record;
  value text;
begin
  is_on := false;
  select f.* into flag from flags.flags f where f.name = of_flag;
  if not found then
    reason := 'unknown';
    return;
  end if;
  select c.* into chosen from flags.chosen(of_flag, organization, tenant, member) c;
  value := coalesce(chosen.value, flag.default_value);
  reason := coalesce(chosen.reason, 'default');
  rule := chosen.rule;
  if value = 'rollout' and flag.kind in ('percentage', 'variant') then
    bucket := flags.bucket(of_flag,
      case flag.bucket_by when 'user' then member when 'tenant' then tenant else organization end);
  end if;
  if flag.kind = 'variant' then
    variant := case
      when value = 'rollout' then flags.weighted(flag.variants, flag.weights, bucket)
      when value = any (flag.variants) then value
    end;
    is_on := variant is not null;
  elsif value = 'rollout' then
    is_on := coalesce(bucket < coalesce(chosen.percentage, flag.percentage) * 100, false);
  else
    is_on := value = 'on';
  end if;
end
$$;
comment on function flags.evaluate(text, uuid, uuid, uuid) is
  'What a flag is for an organization, tenant and user, and why: unknown, user_override, tenant_override, organization_override, rule (and its position) or default; bucket is null where no rollout decides.';
revoke execute on function flags.evaluate(text, uuid, uuid, uuid) from public;

create function flags.enabled(flag text) returns boolean
language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (select e.is_on from flags.evaluate(flag, auth.org_id(), auth.tenant_id(), auth.uid()) e);
end
$$;
comment on function flags.enabled(text) is
  'Whether a flag is on for the caller; false if there is no such flag. Cheap in policies as (select flags.enabled(''x'')).';

create function flags.variant(flag text) returns text
language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (select e.variant from flags.evaluate(flag, auth.org_id(), auth.tenant_id(), auth.uid()) e);
end
$$;
comment on function flags.variant(text) is
  'The variant of a flag for the caller; null if it is off, of another kind or does not exist.';
grant execute on function flags.enabled(text), flags.variant(text) to public;
