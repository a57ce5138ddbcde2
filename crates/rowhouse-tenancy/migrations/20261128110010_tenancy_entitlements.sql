-- Who is entitled to what at this moment. One function decides; the others ask it.

-- Of the tenant, or of all that the user belongs to; of the product, or of all. A user's own entitlement counts before that
-- of all members. Without a user it is a tenant's job, for which counts what all members have. Planning takes longer than
-- running, and the best plan is the same for all: from the user's few tenants.
create function tenancy.products_of(p_user uuid, p_tenant uuid, p_product uuid)
returns table (entitlement_id uuid, tenant_id uuid, product_id uuid, user_id uuid, role text, expires_at timestamptz,
  last_used_at timestamptz)
language plpgsql stable rows 10 set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $$
begin
  return query
    select distinct on (e.tenant_id, e.product_id)
      e.id, e.tenant_id, e.product_id, e.user_id, e.role, e.expires_at, e.last_used_at
    from (
      select m.tenant_id as id from tenancy.memberships m
      where m.user_id = p_user and m.is_active and (p_tenant is null or m.tenant_id = p_tenant)
      union all
      select p_tenant where p_user is null and p_tenant is not null) mine
    join tenancy.tenants t on t.id = mine.id and t.is_open
    join tenancy.organizations o on o.id = t.organization_id and o.is_open
    cross join lateral (
      select own.* from tenancy.entitlements own where own.tenant_id = t.id and own.user_id = p_user
      union all
      select common.* from tenancy.entitlements common where common.tenant_id = t.id and common.user_id is null) e
    join tenancy.products p on p.id = e.product_id and p.status = 'active'
    where (p_product is null or e.product_id = p_product)
      and (e.expires_at is null or e.expires_at > now())
      and exists (
        select from tenancy.tenant_products a where a.tenant_id = e.tenant_id and a.product_id = e.product_id)
    order by e.tenant_id, e.product_id, e.user_id is null;
end
$$;
comment on function tenancy.products_of(uuid, uuid, uuid) is
  'The products that a user may use at this moment, with the tenant and the role; at most one role for each of both.';

-- The environment null means any. An unknown product or environment gives no role.
create function tenancy.product_role(p_user uuid, p_tenant uuid, p_product text, p_environment text default null) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select r.role
  from tenancy.products p cross join lateral tenancy.products_of(p_user, p_tenant, p.id) r
  where p.slug = p_product and p_tenant is not null
    and (p_environment is null or exists (
      select from tenancy.tenant_products a
      where a.tenant_id = p_tenant and a.product_id = p.id and a.environment = p_environment))
$$;
comment on function tenancy.product_role(uuid, uuid, text, text) is
  'The role in which a user may use a product in a tenant at this moment; null if he may not.';
revoke execute on function tenancy.products_of(uuid, uuid, uuid), tenancy.product_role(uuid, uuid, text, text) from public;

create function auth.product_role(product text, environment text default null) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select tenancy.product_role(auth.uid(), auth.tenant_id(), product, environment)
$$;
comment on function auth.product_role(text, text) is
  'The caller''s role in a product, in the tenant of the token at this moment; null if he may not use it.';
create function auth.has_entitlement(product text, role text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select coalesce(tenancy.product_role(auth.uid(), auth.tenant_id(), product) = role, false)
$$;
comment on function auth.has_entitlement(text, text) is
  'Whether the caller has this role in a product, in the tenant of the token at this moment.';
grant execute on function auth.product_role(text, text), auth.has_entitlement(text, text) to public;

-- Nobody gives or takes what is above himself. The role OWNER is for owners of the tenant or its organization and for OWNERs
-- of the product; ADMIN for those who change permissions and for OWNERs and ADMINs of the product.
create function tenancy.refusal_of_product_role(p_user uuid, p_tenant uuid, p_product text, p_role text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case
    when tenancy.operator_role(p_user) = 'super_admin' then null
    when not tenancy.may(p_user, null, p_tenant, 'tenant:apps') then 'tenant:apps'
    when p_role not in ('OWNER', 'ADMIN') then null
    when tenancy.product_role(p_user, p_tenant, p_product) in ('OWNER', p_role) then null
    when p_role = 'OWNER' then case
      when not exists (select from tenancy.roles_of(p_user, null, p_tenant) r where r.role = 'owner') then 'owner' end
    when not tenancy.may(p_user, null, p_tenant, 'permissions:modify') then 'permissions:modify'
  end
$$;
comment on function tenancy.refusal_of_product_role(uuid, uuid, text, text) is
  'Why a user may not give or take a role in a product of a tenant: owner for owners only, else a permission that he lacks; null if he may.';

-- The counterpart for API keys.
create function tenancy.refusal_of_product_role_by_key(p_key uuid, p_tenant uuid, p_role text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case
    when not tenancy.key_may(p_key, null, p_tenant, 'tenant:apps') then 'tenant:apps'
    when p_role = 'OWNER' then 'owner'
    when p_role = 'ADMIN' and not tenancy.key_may(p_key, null, p_tenant, 'permissions:modify') then 'permissions:modify'
  end
$$;
comment on function tenancy.refusal_of_product_role_by_key(uuid, uuid, text) is
  'Why a key may not give or take a role in a product of a tenant: owner, or a permission that it lacks; null if it may.';
revoke execute on function tenancy.refusal_of_product_role(uuid, uuid, text, text),
  tenancy.refusal_of_product_role_by_key(uuid, uuid, text) from public;

-- Execute rights of functions in a view are those of its user, so this one is called with the owner's.
create function tenancy.products_of_caller()
returns table (tenant_id uuid, product_id uuid, role text, expires_at timestamptz)
language sql stable security definer rows 10 set search_path = pg_catalog, pg_temp as $$
  select r.tenant_id, r.product_id, r.role, r.expires_at from tenancy.products_of(auth.uid(), null, null) r
$$;
comment on function tenancy.products_of_caller() is 'What the caller may use at this moment.';
grant execute on function tenancy.products_of_caller() to public;

create view tenancy.my_products with (security_barrier) as
  select r.tenant_id, p.slug as product, p.name, p.description, p.icon_url, p.launcher_url, r.role,
    array(select a.environment from tenancy.tenant_products a
      where a.tenant_id = r.tenant_id and a.product_id = p.id order by 1) as environments,
    r.expires_at
  from tenancy.products_of_caller() r
  join tenancy.products p on p.id = r.product_id;
comment on view tenancy.my_products is 'products that the caller may use, in each of his tenants';
comment on column tenancy.my_products.tenant_id is 'the tenant';
comment on column tenancy.my_products.product is 'the product''s slug';
comment on column tenancy.my_products.name is 'display name';
comment on column tenancy.my_products.description is 'what it is';
comment on column tenancy.my_products.icon_url is 'its icon';
comment on column tenancy.my_products.launcher_url is 'where it is';
comment on column tenancy.my_products.role is 'the caller''s role in it';
comment on column tenancy.my_products.environments is 'for which the tenant has enabled it';
comment on column tenancy.my_products.expires_at is 'until when; null means without end';
grant select on tenancy.my_products to authenticated, service_role, rowhouse_project;
