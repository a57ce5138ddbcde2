-- Feature flags: definitions, targeting rules and overrides. Every process keeps all of it in memory; hence the bounds.
create schema flags;
grant usage on schema flags to rowhouse_project, service_role, authenticated, anon;
comment on schema flags is 'Feature flags. Project code calls flags.enabled and flags.variant; the tables are the control plane''s.';

create table flags.flags (
  name text not null,
  description text not null default '',
  kind text not null,
  bucket_by text not null default 'user',
  default_value text not null,
  percentage numeric(5, 2) not null default 0,
  variants text[] not null default '{}',
  weights integer[] not null default '{}',
  routes text[] not null default '{}',
  owner text not null,
  sunset_on date,
  is_public boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint flags_pkey primary key (name),
  -- `mine` is a path of the admin API.
  constraint flags_name_check check (name ~ '^[a-z][a-z0-9_.-]{0,62}$' and name <> 'mine'),
  constraint flags_description_check check (char_length(description) <= 1000),
  constraint flags_kind_check check (kind in ('boolean', 'percentage', 'variant')),
  constraint flags_bucket_by_check check (bucket_by in ('user', 'tenant', 'organization')),
  constraint flags_default_value_check check (char_length(default_value) between 1 and 63),
  constraint flags_percentage_check check (percentage between 0 and 100),
  constraint flags_variants_check check (not variants && array['on', 'off', 'rollout']),
  constraint flags_variants_weights_check check (
    cardinality(variants) = cardinality(weights) and cardinality(variants) <= 20
    and 0 <= all (weights) and 10000 >= all (weights)),
  constraint flags_routes_check check (cardinality(routes) <= 20 and length(array_to_string(routes, ' ')) <= 4000),
  constraint flags_owner_check check (char_length(owner) between 1 and 200)
);

comment on table flags.flags is 'One row per feature flag.';
comment on column flags.flags.name is 'Key; what code asks for.';
comment on column flags.flags.description is 'What it switches.';
comment on column flags.flags.kind is 'boolean: on or off; percentage: on for a share of the subjects; variant: one of several names.';
comment on column flags.flags.bucket_by is 'Whose id decides about shares and variants: user, tenant or organization.';
comment on column flags.flags.default_value is
  'Applies where no override and no rule does: on, off, rollout (by percentage or weights) or a variant''s name.';
comment on column flags.flags.percentage is 'Share of the subjects for whom rollout means on, in percent, of kind percentage.';
comment on column flags.flags.variants is 'Names of the variants, of kind variant.';
comment on column flags.flags.weights is 'Share of each variant, relative to the sum of all.';
comment on column flags.flags.routes is 'Prefixes of paths that answer 404 to callers for whom the flag is off.';
comment on column flags.flags.owner is 'Who decides about it and removes it.';
comment on column flags.flags.sunset_on is 'The last day on which it should exist.';
comment on column flags.flags.is_public is 'Signed-in users may ask over HTTP what it is for them.';
comment on column flags.flags.created_at is 'When it was made.';
comment on column flags.flags.updated_at is 'Last change of it or its rules.';

create table flags.rules (
  flag text not null,
  position smallint not null,
  organizations uuid[],
  tenants uuid[],
  users uuid[],
  plans text[],
  value text not null,
  percentage numeric(5, 2),
  constraint rules_pkey primary key (flag, position),
  constraint rules_flag_fkey foreign key (flag) references flags.flags (name) on delete cascade,
  constraint rules_position_check check (position between 1 and 50),
  constraint rules_organizations_tenants_users_plans_check check (num_nonnulls(organizations, tenants, users, plans) > 0),
  constraint rules_organizations_check check (cardinality(organizations) between 1 and 100),
  constraint rules_tenants_check check (cardinality(tenants) between 1 and 100),
  constraint rules_users_check check (cardinality(users) between 1 and 100),
  constraint rules_plans_check check (cardinality(plans) between 1 and 100),
  constraint rules_value_check check (char_length(value) between 1 and 63),
  constraint rules_percentage_check check (percentage between 0 and 100)
);

comment on table flags.rules is 'Targeting rules. The first one whose conditions all hold decides.';
comment on column flags.rules.flag is 'The flag.';
comment on column flags.rules.position is 'Order within the flag, from 1.';
comment on column flags.rules.organizations is 'Condition: the caller''s organization is one of these; null: no condition.';
comment on column flags.rules.tenants is 'Condition: the caller''s tenant is one of these; null: no condition.';
comment on column flags.rules.users is 'Condition: the caller is one of these; null: no condition.';
comment on column flags.rules.plans is 'Condition: the plan of the caller''s tenant is one of these; null: no condition.';
comment on column flags.rules.value is 'As flags.default_value.';
comment on column flags.rules.percentage is 'With the value rollout: a share of its own; null: the flag''s.';

create table flags.overrides (
  flag text not null,
  organization_id uuid,
  tenant_id uuid,
  user_id uuid,
  scope text not null generated always as (
    case when user_id is not null then 'user' when tenant_id is not null then 'tenant' else 'organization' end) stored,
  subject uuid not null generated always as (coalesce(user_id, tenant_id, organization_id)) stored,
  value text not null,
  created_at timestamptz not null default now(),
  constraint overrides_pkey primary key (flag, subject, scope),
  constraint overrides_flag_fkey foreign key (flag) references flags.flags (name) on delete cascade,
  constraint overrides_organization_id_fkey foreign key (organization_id)
    references tenancy.organizations (id) on delete cascade,
  constraint overrides_tenant_id_fkey foreign key (tenant_id) references tenancy.tenants (id) on delete cascade,
  constraint overrides_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade,
  constraint overrides_organization_id_tenant_id_user_id_check check (num_nonnulls(organization_id, tenant_id, user_id) = 1),
  constraint overrides_value_check check (char_length(value) between 1 and 63)
);
create index overrides_organization_id_idx on flags.overrides (organization_id) where organization_id is not null;
create index overrides_tenant_id_idx on flags.overrides (tenant_id) where tenant_id is not null;
create index overrides_user_id_idx on flags.overrides (user_id) where user_id is not null;

comment on table flags.overrides is 'Values for one user, tenant or organization each. They precede the rules, the user''s the tenant''s, and that the organization''s.';
comment on column flags.overrides.flag is 'The flag.';
comment on column flags.overrides.organization_id is 'The organization, if it is for one.';
comment on column flags.overrides.tenant_id is 'The tenant, if it is for one.';
comment on column flags.overrides.user_id is 'The user, if it is for one.';
comment on column flags.overrides.scope is 'user, tenant or organization.';
comment on column flags.overrides.subject is 'The one id of the three.';
comment on column flags.overrides.value is 'As flags.default_value.';
comment on column flags.overrides.created_at is 'When it was set.';

do $$
declare
  name text;
begin
  foreach name in array array['flags', 'rules', 'overrides'] loop
    execute format('alter table flags.%I enable row level security', name);
    execute format('alter table flags.%I force row level security', name);
    execute format('create policy owner_all on flags.%I to rowhouse_owner using (true) with check (true)', name);
  end loop;
end
$$;

-- Notifies the processes, and bounds what they hold in memory.
create function flags.on_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- about 10 MB in a process with the overrides, 2 MB with the rules
  most constant int := case tg_table_name when 'flags' then 1000 when 'rules' then 100000 else 200000 end;
  held bigint := 0;
begin
  if tg_op in ('INSERT', 'UPDATE') then
    held := case tg_table_name
      when 'flags' then (select count(*) from flags.flags)
      when 'rules' then (
        select sum(coalesce(cardinality(r.organizations || r.tenants || r.users), 0) + coalesce(cardinality(r.plans), 0))
        from flags.rules r)
      else (select count(*) from flags.overrides)
    end;
  end if;
  if held > most then
    raise exception using errcode = 'program_limit_exceeded',
      message = format(case tg_table_name when 'flags' then 'there are at most %s flags'
        when 'rules' then 'all rules together name at most %s ids and plans'
        else 'there are at most %s overrides' end, most),
      hint = 'Remove flags that are past their sunset, or target organizations instead of users.';
  end if;
  perform pg_catalog.pg_notify('rowhouse_flags', '');
  return null;
end
$$;
comment on function flags.on_changed() is 'Notifies the processes, and bounds what they hold in memory.';
create trigger on_flags_changed after insert or update or delete or truncate on flags.flags
  for each statement execute function flags.on_changed();
create trigger on_rules_changed after insert or update or delete or truncate on flags.rules
  for each statement execute function flags.on_changed();
create trigger on_overrides_changed after insert or update or delete or truncate on flags.overrides
  for each statement execute function flags.on_changed();
