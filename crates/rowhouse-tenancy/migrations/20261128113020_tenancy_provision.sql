-- Hooks: what follows from a new tenant. The crate that provisions tenants writes their bodies.
create function tenancy.provision(p_tenant uuid, p_is_new boolean) returns boolean
language sql set search_path = pg_catalog, pg_temp as $$
  select false
$$;
comment on function tenancy.provision(uuid, boolean) is
  'Begins to provision an open tenant, or to do it again after it was rolled back; false if nothing begins. A new tenant is removed by a rollback.';

create function tenancy.provisioning_of(p_tenant uuid) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select null::jsonb
$$;
comment on function tenancy.provisioning_of(uuid) is 'How far a tenant''s provisioning is; null if it was never provisioned.';
revoke execute on function tenancy.provision(uuid, boolean), tenancy.provisioning_of(uuid) from public;
