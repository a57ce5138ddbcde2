-- Called for each request whose bearer is an API key. The schema with the keys writes the body; without it there are none.
create function rowhouse.find_api_key(p_digest bytea)
returns table (id uuid, organization_id uuid, tenant_id uuid)
language plpgsql rows 1 set search_path = pg_catalog, pg_temp as $$
begin
  return;
end
$$;
comment on function rowhouse.find_api_key(bytea) is
  'Who presents an API key with this digest, if it is valid at this moment. A hook.';
revoke execute on function rowhouse.find_api_key(bytea) from public;
