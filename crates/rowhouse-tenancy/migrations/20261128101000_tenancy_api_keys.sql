-- Keys with which the services of an organization use the admin API.
create table tenancy.api_keys (
  id uuid not null default gen_random_uuid(),
  organization_id uuid not null references tenancy.organizations (id) on delete cascade,
  tenant_id uuid references tenancy.tenants (id) on delete cascade,
  name text not null check (char_length(name) between 1 and 200),
  hint text not null check (length(hint) = 4),
  digest bytea not null check (length(digest) = 32),
  scopes text[] not null check (cardinality(scopes) between 1 and 100),
  expires_at timestamptz check (isfinite(expires_at)),
  last_used_at timestamptz,
  created_by text not null default coalesce(nullif(current_setting('rowhouse.actor', true), ''), 'sql:' || session_user)
    check (length(created_by) between 1 and 255),
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  constraint api_keys_pkey primary key (id),
  constraint api_keys_digest_key unique (digest)
);
create index api_keys_organization_id_id_idx on tenancy.api_keys (organization_id, id);
create index api_keys_tenant_id_idx on tenancy.api_keys (tenant_id) where tenant_id is not null;
comment on table tenancy.api_keys is 'keys of organizations'' own services, for the admin API';
comment on column tenancy.api_keys.id is 'key; in the audit log api_key:ID';
comment on column tenancy.api_keys.organization_id is 'the organization in which it counts';
comment on column tenancy.api_keys.tenant_id is 'the only tenant in which it counts; null means all, and the organization itself';
comment on column tenancy.api_keys.name is 'what it is for';
comment on column tenancy.api_keys.hint is 'its last four characters';
comment on column tenancy.api_keys.digest is 'SHA-256 of the key, which has 256 random bits and is stored nowhere';
comment on column tenancy.api_keys.scopes is 'permissions that it has, see tenancy.permissions';
comment on column tenancy.api_keys.expires_at is 'until when; null means without end';
comment on column tenancy.api_keys.last_used_at is 'last use, a minute late at most';
comment on column tenancy.api_keys.created_by is 'who made it, as in the audit log';
comment on column tenancy.api_keys.created_at is 'when it was made';
comment on column tenancy.api_keys.revoked_at is 'since when it is refused';
alter table tenancy.api_keys enable row level security;
alter table tenancy.api_keys force row level security;
create policy owner_all on tenancy.api_keys to rowhouse_owner using (true) with check (true);
select tenancy.show_to_project('tenancy.api_keys', array['id', 'organization_id', 'tenant_id', 'name', 'hint', 'scopes', 'expires_at',
  'last_used_at', 'created_by', 'created_at', 'revoked_at']);

create function tenancy.check_api_key() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if new.tenant_id is not null and not exists (
    select from tenancy.tenants t where t.id = new.tenant_id and t.organization_id = new.organization_id) then
    raise exception using errcode = 'foreign_key_violation', constraint = 'api_keys_tenant_id_fkey',
      message = 'the tenant is not of the organization';
  elsif not new.scopes <@ array(select p.name from tenancy.permissions p) then
    raise exception using errcode = 'check_violation', constraint = 'api_keys_scopes_check',
      message = 'scopes are names of permissions';
  end if;
  return new;
end
$$;
comment on function tenancy.check_api_key() is 'The tenant of a key is one of its organization, and its scopes are permissions.';
create trigger check_api_key before insert or update of organization_id, tenant_id, scopes on tenancy.api_keys
  for each row execute function tenancy.check_api_key();

create function tenancy.is_live(k tenancy.api_keys) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select (k).revoked_at is null and ((k).expires_at is null or (k).expires_at > now())
    and exists (select from tenancy.organizations o where o.id = (k).organization_id and o.is_open)
    and ((k).tenant_id is null or exists (select from tenancy.tenants t where t.id = (k).tenant_id and t.is_open))
$$;
comment on function tenancy.is_live(tenancy.api_keys) is
  'Whether a key is valid at this moment, and its organization and its tenant are open.';

-- The counterpart of tenancy.may for keys.
create function tenancy.key_may(p_key uuid, p_organization uuid, p_tenant uuid, p_permission text) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from tenancy.api_keys k
    left join tenancy.tenants t on t.id = p_tenant
    where k.id = p_key and p_permission = any (k.scopes) and tenancy.is_live(k)
      and k.organization_id = coalesce(p_organization, t.organization_id)
      and case when p_tenant is null then k.tenant_id is null
        else t.organization_id = k.organization_id and t.is_open and (k.tenant_id is null or k.tenant_id = p_tenant)
      end);
end
$$;
comment on function tenancy.key_may(uuid, uuid, uuid, text) is
  'Whether a key has a permission in an organization, or in a tenant, at this moment.';

-- The counterpart of tenancy.refusal_of_role.
create function tenancy.refusal_of_role_by_key(p_key uuid, p_organization uuid, p_tenant uuid, p_role text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when p_role = 'owner' then 'owner' else coalesce((
    select p.name from unnest(tenancy.permissions_of(p_organization, p_role)) as p (name)
    where not tenancy.key_may(p_key, p_organization, p_tenant, p.name) order by 1 limit 1),
    -- a key can do nothing in modules
    tenancy.module_beyond(p_organization, p_role, '{}')) end
$$;
comment on function tenancy.refusal_of_role_by_key(uuid, uuid, uuid, text) is
  'Why a key may not give or take a role there: owner for that role, else a permission, or a module and an action, that it lacks; null if it may.';
revoke execute on function tenancy.is_live(tenancy.api_keys), tenancy.key_may(uuid, uuid, uuid, text),
  tenancy.refusal_of_role_by_key(uuid, uuid, uuid, text) from public;

-- Called for each request with a key. Of requests at the same time one notes the use, and none waits for it.
create or replace function rowhouse.find_api_key(p_digest bytea)
returns table (id uuid, organization_id uuid, tenant_id uuid)
language plpgsql rows 1 set search_path = pg_catalog, pg_temp as $$
declare
  v_key tenancy.api_keys;
begin
  select k.* into v_key from tenancy.api_keys k where k.digest = p_digest and tenancy.is_live(k);
  if v_key.id is null then
    return;
  end if;
  if v_key.last_used_at is null or v_key.last_used_at < now() - interval '1 minute' then
    update tenancy.api_keys k set last_used_at = now() where k.id = (
      select a.id from tenancy.api_keys a
      where a.id = v_key.id and a.last_used_at is not distinct from v_key.last_used_at
      for no key update skip locked);
  end if;
  return query select v_key.id, v_key.organization_id, v_key.tenant_id;
end
$$;
comment on function rowhouse.find_api_key(bytea) is
  'Who presents an API key with this digest, if it is valid at this moment; notes its use once a minute.';
revoke execute on function rowhouse.find_api_key(bytea) from public;

create function tenancy.prune_api_keys(age interval) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  removed bigint;
begin
  delete from tenancy.api_keys where id = any (array(
    select k.id from tenancy.api_keys k where least(k.revoked_at, k.expires_at) < clock_timestamp() - age limit 5000));
  get diagnostics removed = row_count;
  return removed;
end
$$;
comment on function tenancy.prune_api_keys(interval) is
  'Removes keys that were revoked or expired longer ago than the age, 5000 in one call; returns how many.';
revoke execute on function tenancy.prune_api_keys(interval) from public;
