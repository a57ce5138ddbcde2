-- The check that opens every flight of a signed-in caller. Raises RH401 if session or user no longer exists, RH403 if
-- the user is no longer an active member of the token's tenant. Names are qualified throughout: a `set search_path`
-- clause would cost more than the lookup. A null session (a token minted with the legacy secret) is checked by user
-- and tenant only.
create function rowhouse.require_live_session(p_session uuid, p_user uuid, p_tenant uuid) returns void
language plpgsql stable security definer as $$
declare
  v_user boolean;
  v_session boolean;
  v_tenant boolean;
begin
  -- Subqueries, since starting one join of five tables takes a fifth longer.
  select u.deleted_at is null and (u.banned_until is null or u.banned_until < pg_catalog.now()),
    p_session is null or exists (
      select from auth.sessions s
      where s.id = p_session and s.user_id = p_user and (s.not_after is null or s.not_after > pg_catalog.now())
    ),
    p_tenant is null or exists (
      select from tenancy.memberships m
      join tenancy.tenants t on t.id = m.tenant_id
      join tenancy.organizations o on o.id = t.organization_id
      where m.tenant_id = p_tenant and m.user_id = p_user
        and m.status = 'active' and t.status = 'active' and o.status = 'active'
    )
  into v_user, v_session, v_tenant
  from auth.users u
  where u.id = p_user;
  if v_session is not true then
    raise exception using errcode = 'RH401', message = 'the session has ended';
  elsif v_user is not true then
    raise exception using errcode = 'RH401', message = 'the user is not active';
  elsif v_tenant is not true then
    raise exception using errcode = 'RH403', message = 'the tenant is not open to this user';
  end if;
end
$$;
-- to PUBLIC: a project function may have left another role set in the session, and this runs before the role is set
grant execute on function rowhouse.require_live_session(uuid, uuid, uuid) to public;
