-- Settings of tenants: values of a type, and secrets, which only the program opens.
create table tenancy.tenant_settings (
  id uuid not null default gen_random_uuid(),
  tenant_id uuid not null references tenancy.tenants (id) on delete cascade,
  name text not null check (name ~ '^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*){0,4}$' and length(name) <= 100),
  kind text not null check (kind in ('text', 'number', 'boolean', 'json', 'secret')),
  value jsonb check (octet_length(value::text) <= 65536),
  sealed text check (length(sealed) <= 100000),
  hint text check (char_length(hint) <= 4),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint tenant_settings_pkey primary key (id),
  constraint tenant_settings_tenant_id_name_key unique (tenant_id, name),
  constraint tenant_settings_kind_value_check check ((kind = 'secret') = (value is null) and case kind
    when 'text' then jsonb_typeof(value) = 'string' when 'number' then jsonb_typeof(value) = 'number'
    when 'boolean' then jsonb_typeof(value) = 'boolean' else true end),
  constraint tenant_settings_kind_sealed_hint_check check (
    (kind = 'secret') = (sealed is not null) and (kind = 'secret' or hint is null))
);
comment on table tenancy.tenant_settings is 'settings of tenants';
comment on column tenancy.tenant_settings.id is 'key';
comment on column tenancy.tenant_settings.tenant_id is 'the tenant';
comment on column tenancy.tenant_settings.name is 'name, unique in the tenant';
comment on column tenancy.tenant_settings.kind is 'text, number, boolean, json or secret';
comment on column tenancy.tenant_settings.value is 'the value; null for a secret';
comment on column tenancy.tenant_settings.sealed is 'a secret, sealed with auth.key_secret';
comment on column tenancy.tenant_settings.hint is 'the end of a secret that is long enough';
comment on column tenancy.tenant_settings.created_at is 'when it was made';
comment on column tenancy.tenant_settings.updated_at is 'last change';
alter table tenancy.tenant_settings enable row level security;
alter table tenancy.tenant_settings force row level security;
create policy owner_all on tenancy.tenant_settings to rowhouse_owner using (true) with check (true);
select tenancy.show_to_project('tenancy.tenant_settings',
  array['id', 'tenant_id', 'name', 'kind', 'value', 'hint', 'created_at', 'updated_at']);

create function tenancy.setting(name text) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  found_kind text;
  found_value jsonb;
begin
  select s.kind, s.value into found_kind, found_value from tenancy.tenant_settings s
  where s.tenant_id = auth.tenant_id() and s.name = setting.name;
  if found_kind = 'secret' then
    raise exception using errcode = 'insufficient_privilege', message = format('the setting "%s" is a secret', name);
  end if;
  return found_value;
end
$$;
comment on function tenancy.setting(text) is
  'A setting of the caller''s tenant; null if there is none. A secret is refused.';
grant execute on function tenancy.setting(text) to public;
