-- All rows of a tenant as lines of JSON, for an export.

-- By their names, since every column of the platform is named after what it holds. `mime` is the whole text of a letter, which
-- may have a link that signs in.
create function tenancy.secret_columns(p_target regclass) returns text[]
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(array_agg(a.attname::text), '{}') from pg_attribute a
  where a.attrelid = p_target and a.attnum > 0 and not a.attisdropped
    and a.attname::text ~ '(password|secret|token|sealed|digest|hash|hmac|nonce|verifier|private|challenge|^code|_code$|^mime$)'
$$;
comment on function tenancy.secret_columns(regclass) is 'Columns of a table of the platform that an export leaves out.';

-- Policies and views of the project may be asked, so this has the project's rights.
create function tenancy.export_project_rows(p_parent regclass, p_id uuid) returns setof jsonb
language plpgsql stable security definer set search_path = pg_catalog, public, extensions, pg_temp as $$
declare
  one record;
begin
  for one in select * from tenancy.tables_of(p_parent) t where t.of_project loop
    return query execute format('select jsonb_build_object(''table'', %L, ''row'', to_jsonb(t)) from %s t where t.%I = $1',
      one.full_name, one.target, one.column_name) using p_id;
  end loop;
end
$$;
comment on function tenancy.export_project_rows(regclass, uuid) is 'Rows of a tenant in the project''s tables, as objects.';
grant create on schema tenancy to rowhouse_project;
alter function tenancy.export_project_rows(regclass, uuid) owner to rowhouse_project;
revoke create on schema tenancy from rowhouse_project;

create function tenancy.export_tenant(p_tenant uuid) returns setof jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  one record;
begin
  return query select jsonb_build_object('table', 'tenancy.tenants', 'row', to_jsonb(t)) from tenancy.tenants t where t.id = p_tenant;
  for one in select * from tenancy.tables_of('tenancy.tenants') t where not t.of_project loop
    return query execute format('select jsonb_build_object(''table'', %L, ''row'', to_jsonb(t) - $2) from %s t where t.%I = $1',
      one.full_name, one.target, one.column_name) using p_tenant, tenancy.secret_columns(one.target);
  end loop;
  return query select * from tenancy.export_project_rows('tenancy.tenants', p_tenant);
end
$$;
comment on function tenancy.export_tenant(uuid) is
  'The tenant''s row, and every row of the tenant in tables of the platform (without secrets) and of the project.';
revoke execute on function tenancy.secret_columns(regclass), tenancy.export_project_rows(regclass, uuid), tenancy.export_tenant(uuid)
  from public;
grant execute on function tenancy.export_project_rows(regclass, uuid) to rowhouse_owner;
