-- Identity asks for the tenant of a session here.
create function auth.membership_of(member uuid, preferred uuid, client uuid default null)
returns table (tenant_id uuid, organization_id uuid, role text)
language plpgsql stable rows 1 set search_path = pg_catalog, pg_temp as $$
declare
  v_product uuid;
begin
  if client is not null then
    select p.id into v_product from tenancy.products p where p.oauth_client_id = client;
  end if;
  return query
    select m.tenant_id, t.organization_id, m.role::text
    from tenancy.memberships m
    join tenancy.tenants t on t.id = m.tenant_id and t.is_open
    join tenancy.organizations o on o.id = t.organization_id and o.is_open
    where m.user_id = member and m.is_active
      and (v_product is null or exists (select from tenancy.products_of(member, m.tenant_id, v_product)))
    order by m.tenant_id is not distinct from preferred desc, m.created_at, m.tenant_id
    limit 1;
end
$$;
comment on function auth.membership_of(uuid, uuid, uuid) is
  'The user''s active membership in the preferred tenant, else the oldest; in open tenants of open organizations only, and for '
  'an application of a product only where he is entitled to it.';
revoke execute on function auth.membership_of(uuid, uuid, uuid) from public;
