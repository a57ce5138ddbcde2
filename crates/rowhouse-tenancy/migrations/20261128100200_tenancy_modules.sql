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
