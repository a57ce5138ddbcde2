-- Sessions in which an operator acts as a user. Who may open one, and until when, is decided above (rowhouse-operator).

-- Opens one in a tenant of the user's, which it then never leaves, or in the default one. It takes no place among the user's own sessions, and ends none.
create function auth.open_impersonation(
  session uuid, member uuid, at timestamptz, ends_at timestamptz, agent text, address inet, claim uuid,
  operator uuid, impersonation uuid, tenant uuid
) returns table (
  id uuid, user_id uuid, created_at timestamptz, not_after timestamptz, aal text, amr jsonb, refresh_token_counter bigint,
  rotated_at timestamptz, tenant_id uuid, organization_id uuid, tenant_role text, impersonator uuid, impersonation_id uuid
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  select m.tenant_id, m.organization_id, m.role into tenant_id, organization_id, tenant_role
  from auth.membership_of(member, tenant) m;
  -- Only there, or not at all.
  if tenant is not null and open_impersonation.tenant_id is distinct from tenant then
    raise exception using errcode = 'P0002', message = 'the user is no member of the tenant any more';
  end if;
  insert into auth.sessions (id, user_id, created_at, updated_at, not_after, aal, user_agent, ip, tenant_id,
    refresh_token_counter, rotated_at, impersonator, impersonation_id, only_tenant_id)
  values (session, member, at, at, ends_at, 'aal1', agent, address, open_impersonation.tenant_id, 1, at, operator, impersonation,
    tenant);
  insert into auth.mfa_amr_claims (id, session_id, authentication_method, created_at, updated_at)
  values (claim, session, 'impersonation', at, at);
  return query select session, member, at, ends_at, 'aal1', auth.amr_of(session), 1::bigint, at,
    open_impersonation.tenant_id, open_impersonation.organization_id, open_impersonation.tenant_role, operator, impersonation;
end
$$;
comment on function auth.open_impersonation(
  uuid, uuid, timestamptz, timestamptz, text, inet, uuid, uuid, uuid, uuid) is
  'Opens a session in which an operator acts as a user; returns it with its tenant.';
revoke execute on function auth.open_impersonation(
  uuid, uuid, timestamptz, timestamptz, text, inet, uuid, uuid, uuid, uuid) from public;
