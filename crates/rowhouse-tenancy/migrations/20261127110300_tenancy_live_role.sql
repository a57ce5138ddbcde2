-- Roles in a token are looked up, too: the database role with every flight, the role within the tenant where a
-- policy asks for it.

drop function rowhouse.require_live_session(uuid, uuid, uuid);

-- The check that opens every flight of a signed-in caller. Raises RH401 if session or user no longer exists or the
-- user has another role now, RH403 if the user is no longer an active member of the token's tenant. Names are
-- qualified throughout: a `set search_path` clause would cost more than the lookup. A null session (a token minted
-- with the legacy secret) is checked by user, role and tenant only; such a token may also name a lesser role than the
-- user's.
create function rowhouse.require_live_session(p_session uuid, p_user uuid, p_tenant uuid, p_role text) returns void
language plpgsql stable security definer as $$
declare
  v_user boolean;
  v_role boolean;
  v_session boolean;
  v_tenant boolean;
begin
  -- Subqueries, since starting one join of five tables takes a fifth longer.
  select u.deleted_at is null and (u.banned_until is null or u.banned_until < pg_catalog.now()),
    p_role = coalesce(nullif(u.role, ''), 'anon') or (p_session is null and p_role = 'authenticated'),
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
  into v_user, v_role, v_session, v_tenant
  from auth.users u
  where u.id = p_user;
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

-- The current role within the tenant: an owner at the time of signing may be a member now.
create or replace function auth.tenant_role() returns text
language sql stable parallel safe security definer set search_path = '' as $$
  select m.role from tenancy.memberships m
  where m.tenant_id = auth.tenant_id() and m.user_id = auth.uid() and m.status = 'active'
$$;
comment on function auth.tenant_role() is
  'owner, admin or member: the caller''s role in the tenant of the token, looked up; null for callers who are no members.';

-- The organization that the token names; for tokens of other issuers it is derived from the tenant.
create or replace function auth.org_id() returns uuid
language sql stable parallel safe security definer set search_path = '' as $$
  select coalesce(
    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'org_id')::uuid,
    (select t.organization_id from tenancy.tenants t where t.id = auth.tenant_id()))
$$;
comment on function auth.org_id() is 'The organization of the tenant that the token names.';
