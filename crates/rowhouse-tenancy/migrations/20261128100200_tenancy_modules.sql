-- What a role may do in the parts of a product: its modules. The product declares them and asks auth.may.
create table tenancy.modules (
  name text not null,
  created_at timestamptz not null default now(),
  constraint modules_pkey primary key (name),
  constraint modules_name_check check (name ~ '^[a-z][a-z0-9_-]{0,62}$')
);
comment on table tenancy.modules is 'parts of the product that auth.may decides about';
comment on column tenancy.modules.name is 'name as auth.may takes it';
comment on column tenancy.modules.created_at is 'since when';

create table tenancy.module_permissions (
  -- null: a built-in role, in every organization
  organization_id uuid references tenancy.organizations (id) on delete cascade,
  role text not null,
  module text not null references tenancy.modules (name) on delete cascade,
  action text not null check (action in ('read', 'write', 'delete', 'all')),
  constraint module_permissions_organization_id_role_module_action_key
    unique nulls not distinct (organization_id, role, module, action),
  constraint module_permissions_organization_id_role_check
    check (organization_id is not null or role in ('owner', 'admin', 'manager', 'member'))
);
create index module_permissions_module_idx on tenancy.module_permissions (module);
comment on table tenancy.module_permissions is 'which role may do what in which module';
comment on column tenancy.module_permissions.organization_id is 'only in this organization; null means in all';
comment on column tenancy.module_permissions.role is 'role of a member';
comment on column tenancy.module_permissions.module is 'the module';
comment on column tenancy.module_permissions.action is 'read, write, delete, or all of them';
create trigger check_role before insert or update of organization_id, role on tenancy.module_permissions
  for each row execute function tenancy.check_organization_role();

do $$
declare
  name text;
begin
  foreach name in array array['modules', 'module_permissions'] loop
    execute format('alter table tenancy.%I enable row level security', name);
    execute format('alter table tenancy.%I force row level security', name);
    execute format('create policy owner_all on tenancy.%I to rowhouse_owner using (true) with check (true)', name);
  end loop;
end
$$;

create function tenancy.on_role_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from tenancy.module_permissions p where p.organization_id = old.organization_id and p.role = old.name;
  return null;
end
$$;
comment on function tenancy.on_role_deleted() is 'Removes what a deleted role could do in modules.';
create trigger on_role_deleted after delete on tenancy.roles
  for each row execute function tenancy.on_role_deleted();

create function auth.may(module text, action text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from tenancy.roles_of(auth.uid(), null, auth.tenant_id()) r
    join tenancy.module_permissions p on p.role = r.role
      and (p.organization_id is null or p.organization_id = r.organization_id)
    where p.module = may.module and (p.action = may.action or p.action = 'all')
      and may.action in ('read', 'write', 'delete', 'all'))
$$;
comment on function auth.may(text, text) is
  'Whether the caller may read, write or delete in a module, or all of it; false for an unknown module or action.';
grant execute on function auth.may(text, text) to public;

-- An owner is above all roles of the organization, also where the project gives his own no module.
create function tenancy.module_beyond(p_organization uuid, p_role text, p_own text[]) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select p.module || ':' || p.action
  from tenancy.module_permissions p
  where p.role = p_role and (p.organization_id is null or p.organization_id = p_organization)
    and 'owner' <> all (p_own)
    and not exists (
      select from tenancy.module_permissions o
      where o.role = any (p_own) and (o.organization_id is null or o.organization_id = p_organization)
        and o.module = p.module and o.action in (p.action, 'all'))
  order by 1 limit 1
$$;
comment on function tenancy.module_beyond(uuid, text, text[]) is
  'What a role can do in a module and none of the other roles can, as MODULE:ACTION; null if there is nothing.';
revoke execute on function tenancy.module_beyond(uuid, text, text[]) from public;

-- Nobody gives a role that can do more than himself, or takes it from others; the role owner is for owners to give and take.
create function tenancy.refusal_of_role(p_user uuid, p_organization uuid, p_tenant uuid, p_role text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case
    when tenancy.operator_role(p_user) = 'super_admin' then null
    when p_role = 'owner' and not exists (
      select from tenancy.roles_of(p_user, p_organization, p_tenant) r where r.role = 'owner') then 'owner'
    else coalesce((
      select p.name from unnest(tenancy.permissions_of(p_organization, p_role)) as p (name)
      where not tenancy.may(p_user, p_organization, p_tenant, p.name) order by 1 limit 1),
      tenancy.module_beyond(p_organization, p_role,
        array(select r.role from tenancy.roles_of(p_user, p_organization, p_tenant) r)))
  end
$$;
comment on function tenancy.refusal_of_role(uuid, uuid, uuid, text) is
  'Why a user may not give or take a role there: owner for that role, else a permission, or a module and an action, that he lacks; null if he may.';
revoke execute on function tenancy.refusal_of_role(uuid, uuid, uuid, text) from public;
