-- The check that opens every flight of a signed-in caller. Raises RH401 when session or user is gone, RH403 when
-- the tenant named by the token is no longer open to the user. Names are qualified throughout: a
-- `set search_path` clause would cost more than the lookup. A null session (a token minted with the legacy
-- secret) is judged by user and tenant alone.
create function rowhouse.require_live_session(p_session uuid, p_user uuid, p_tenant uuid) returns void
language plpgsql stable security definer as $$
declare
  v_user boolean;
  v_session boolean;
  v_tenant boolean;
begin
  -- In subqueries: starting one join of five tables takes longer by a fifth than all of this.
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
-- to everybody: a project function may have left another role behind on the connection, and this runs before the
-- role is set
grant execute on function rowhouse.require_live_session(uuid, uuid, uuid) to public;
