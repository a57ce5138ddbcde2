-- The check that opens every flight of a signed-in caller. Raises RH401 if session or user no longer exists or the
-- user has another role now, RH403 if the user is no longer an active member of the token's tenant. A null session (a
-- token minted with the legacy secret) is checked by user, role and tenant only; such a token may also name a lesser
-- role than the user's.
--
-- It runs with the caller's search_path, since a `set search_path` clause would cost more than the lookup. Hence
-- every name and every operator is qualified: an operator of the project that fits the types better than PostgreSQL's
-- would run with the owner's rights. `nullif` and `case x when` look their operator up by name, too.
create function rowhouse.require_live_session(p_session uuid, p_user uuid, p_tenant uuid, p_role text) returns void
language plpgsql stable security definer as $$
declare
  v_user boolean;
  v_role boolean;
  v_session boolean;
  v_tenant boolean;
begin
  -- Subqueries, since starting one join of five tables takes a fifth longer.
  select u.deleted_at is null and (u.banned_until is null or u.banned_until operator(pg_catalog.<) pg_catalog.now()),
    p_role operator(pg_catalog.=) case when u.role is null or u.role::pg_catalog.text operator(pg_catalog.=) ''::pg_catalog.text
        then 'anon'::pg_catalog.text else u.role::pg_catalog.text end
      or (p_session is null and p_role operator(pg_catalog.=) 'authenticated'::pg_catalog.text),
    p_session is null or exists (
      select from auth.sessions s
      where s.id operator(pg_catalog.=) p_session and s.user_id operator(pg_catalog.=) p_user
        and (s.not_after is null or s.not_after operator(pg_catalog.>) pg_catalog.now())
    ),
    p_tenant is null or exists (
      select from tenancy.memberships m
      join tenancy.tenants t on t.id operator(pg_catalog.=) m.tenant_id
      join tenancy.organizations o on o.id operator(pg_catalog.=) t.organization_id
      where m.tenant_id operator(pg_catalog.=) p_tenant and m.user_id operator(pg_catalog.=) p_user
        and m.is_active and t.is_open and o.is_open
    )
  into v_user, v_role, v_session, v_tenant
  from auth.users u
  where u.id operator(pg_catalog.=) p_user;
  if v_session is not true then
    raise exception using errcode = 'RH401', message = 'the session has ended';
  elsif v_user is not true then
    raise exception using errcode = 'RH401', message = 'the user is not active';
  elsif v_role is not true then
    raise exception using errcode = 'RH401', message = 'the user has another role now';
  elsif v_tenant is not true then
    raise exception using errcode = 'RH403', message = 'the tenant is not open to this user';
  end if;
end
$$;
comment on function rowhouse.require_live_session(uuid, uuid, uuid, text) is
  'Raises unless session, user, role and tenant of a token still stand. Part of every flight of a signed-in caller.';
-- to PUBLIC: a project function may have left another role set in the session, and this runs before the role is set
grant execute on function rowhouse.require_live_session(uuid, uuid, uuid, text) to public;
