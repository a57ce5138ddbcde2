-- A product's application is for those who are entitled to the product.

-- Asked by the authorization server before it approves a request and gives tokens. Of requests at the same time one notes
-- the use, and none waits for it.
create function auth.enter_application(member uuid, client uuid) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_product uuid;
  v_entitlements uuid[];
begin
  select p.id into v_product from tenancy.products p where p.oauth_client_id = client;
  if v_product is null then
    return true;
  end if;
  v_entitlements := array(select r.entitlement_id from tenancy.products_of(member, null, v_product) r);
  if exists (
    select from tenancy.entitlements e
    where e.id = any (v_entitlements) and (e.last_used_at is null or e.last_used_at < now() - interval '1 minute')) then
    update tenancy.entitlements e set last_used_at = now() where e.id = any (array(
      select a.id from tenancy.entitlements a
      where a.id = any (v_entitlements) and (a.last_used_at is null or a.last_used_at < now() - interval '1 minute')
      for no key update skip locked));
  end if;
  return cardinality(v_entitlements) > 0;
end
$$;
comment on function auth.enter_application(uuid, uuid) is
  'Whether a user may use an application: one of no product, or of a product that he is entitled to in a tenant; notes the use once a minute.';
revoke execute on function auth.enter_application(uuid, uuid) from public;

-- A token that was given lasts for a while, but not longer than its session.
create function tenancy.end_product_sessions(p_product uuid, p_tenant uuid, p_user uuid) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  ended bigint;
begin
  delete from auth.sessions s using tenancy.products p
  where p.id = p_product and s.oauth_client_id = p.oauth_client_id
    and (p_user is null or s.user_id = p_user)
    and (p_tenant is null or s.user_id in (select m.user_id from tenancy.memberships m where m.tenant_id = p_tenant))
    and not exists (select from tenancy.products_of(s.user_id, s.tenant_id, p.id));
  get diagnostics ended = row_count;
  return ended;
end
$$;
comment on function tenancy.end_product_sessions(uuid, uuid, uuid) is
  'Ends sessions of a product''s application whose users are not entitled to it any more in the session''s tenant, of a tenant''s members and of one user if they are given; returns how many.';
revoke execute on function tenancy.end_product_sessions(uuid, uuid, uuid) from public;
