-- Makes a project's tables tenant tables. Functions here run with the rights of their caller, who owns the table;
-- only the reference check bypasses row-level security.

-- Refuses a reference to a protected row of another tenant. Foreign keys bypass row-level security, so without this a
-- child could refer to (and by trial find) another tenant's parent. Arguments: constraint name, parent, and a query
-- that takes the new row as jsonb and returns the parent's tenant. The error equals that of a parent that does not
-- exist.
create function tenancy.refuse_foreign_reference() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  parent_tenant uuid;
begin
  execute tg_argv[2] into parent_tenant using to_jsonb(new);
  if parent_tenant is distinct from new.tenant_id and parent_tenant is not null then
    raise exception using errcode = 'foreign_key_violation',
      message = format('insert or update on table "%s" violates foreign key constraint "%s"', tg_table_name, tg_argv[0]),
      detail = format('Key is not present in table "%s".', tg_argv[1]),
      constraint = tg_argv[0], table = tg_table_name, schema = tg_table_schema;
  end if;
  return null;
end
$$;
-- It runs a query written by the trigger's creator, so it must have no more rights than the project, whose policy
-- gives access to every tenant's parents.
grant create on schema tenancy to rowhouse_project;
alter function tenancy.refuse_foreign_reference() owner to rowhouse_project;
revoke create on schema tenancy from rowhouse_project;

-- true for a table that tenancy.protect has been called on
create function tenancy.is_protected(target regclass) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (select from pg_catalog.pg_policy where polrelid = target and polname = 'tenant_select')
$$;
grant execute on function tenancy.is_protected(regclass) to public;

-- Brings the reference checks of every protected table up to date: adds what is missing, drops checks of dropped
-- references. Called after migrations and schema reloads. Returns how many were added.
create function tenancy.refresh_references() returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  fk record;
  stale record;
  expected text[] := '{}';
  trigger_name text;
  lookup text;
  added int := 0;
begin
  for fk in
    select c.conname, c.conrelid::regclass as child, c.confrelid::regclass as parent, p.relname as parent_name,
      string_agg(format('p.%I = ($1 ->> %L)::%s', pa.attname, ca.attname, format_type(ca.atttypid, null)), ' and ' order by ca.attnum) as matches
    from pg_catalog.pg_constraint c
    join pg_catalog.pg_class p on p.oid = c.confrelid
    cross join lateral unnest(c.conkey, c.confkey) as k (child_column, parent_column)
    join pg_catalog.pg_attribute ca on ca.attrelid = c.conrelid and ca.attnum = k.child_column
    join pg_catalog.pg_attribute pa on pa.attrelid = c.confrelid and pa.attnum = k.parent_column
    where c.contype = 'f' and tenancy.is_protected(c.conrelid) and tenancy.is_protected(c.confrelid)
    group by c.oid, c.conname, c.conrelid, c.confrelid, p.relname
  loop
    lookup := format('select p.tenant_id from %s p where %s', fk.parent, fk.matches);
    -- the name carries what is checked, so that a constraint that changed gets a new trigger
    trigger_name := 'tenant_reference_' || md5(fk.conname || lookup);
    expected := expected || format('%s.%s', fk.child::oid, trigger_name);
    if not exists (select from pg_catalog.pg_trigger where tgrelid = fk.child and tgname = trigger_name) then
      execute format('create constraint trigger %I after insert or update on %s for each row execute function tenancy.refuse_foreign_reference(%L, %L, %L)',
        trigger_name, fk.child, fk.conname, fk.parent_name, lookup);
      added := added + 1;
    end if;
  end loop;
  -- of dropped references
  for stale in
    select tgrelid::regclass as child, tgname from pg_catalog.pg_trigger
    where tgname like 'tenant\_reference\_%' and tgparentid = 0 and format('%s.%s', tgrelid, tgname) <> all (expected)
  loop
    execute format('drop trigger %I on %s', stale.tgname, stale.child);
  end loop;
  return added;
end
$$;
grant execute on function tenancy.refresh_references() to rowhouse_project;

-- Creates a policy if it is missing.
create function tenancy.ensure_policy(target regclass, name text, definition text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from pg_catalog.pg_policy where polrelid = target and polname = name) then
    execute format('create policy %I on %s %s', name, target, definition);
  end if;
end
$$;
grant execute on function tenancy.ensure_policy(regclass, text, text) to rowhouse_project;

-- Forces row-level security, with a policy for all rows for those for whom `everything` holds: the owner's migrations
-- and, if it cannot bypass row-level security, service_role. The owner's policy also applies to views, which read
-- with their owner's rights; `current_user` is then still the caller.
create function tenancy.force_row_security(target regclass, everything text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from pg_catalog.pg_class where oid = target and relrowsecurity and relforcerowsecurity) then
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
  end if;
  perform tenancy.ensure_policy(target, 'project_all', format('to rowhouse_project using (%1$s) with check (%1$s)', everything));
  if exists (select from pg_catalog.pg_roles where rolname = 'service_role' and not rolbypassrls) then
    perform tenancy.ensure_policy(target, 'service_all', 'to service_role using (true) with check (true)');
  end if;
end
$$;
grant execute on function tenancy.force_row_security(regclass, text) to rowhouse_project;

-- Makes `target` a tenant table; idempotent.
create function tenancy.protect(target regclass) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  kind "char";
  bare_name text;
  column_type text;
  has_rows boolean;
begin
  select relkind, relname into kind, bare_name from pg_catalog.pg_class where oid = target;
  if kind not in ('r', 'p') then
    raise exception using errcode = 'wrong_object_type', message = format('%s is not a table', target);
  end if;
  if not pg_has_role((select relowner from pg_catalog.pg_class where oid = target), 'usage') then
    raise exception using errcode = 'insufficient_privilege',
      message = format('%s does not belong to %s', target, current_user),
      hint = 'Run `rowhouse migrate adopt`: it makes existing tables those of the role that migrations run as.';
  end if;
  select format_type(atttypid, atttypmod) into column_type
  from pg_catalog.pg_attribute where attrelid = target and attname = 'tenant_id' and not attisdropped;
  if column_type is null then
    execute format('select exists (select from %s)', target) into has_rows;
    if has_rows then
      raise exception using errcode = 'object_not_in_prerequisite_state',
        message = format('%s has rows, and nobody knows whose', target),
        hint = 'Add "tenant_id uuid", fill it, then call tenancy.protect again.';
    end if;
    execute format('alter table %s add column tenant_id uuid not null default auth.tenant_id()', target);
  elsif column_type <> 'uuid' then
    raise exception using errcode = 'datatype_mismatch', message = format('%s.tenant_id is %s, not uuid', target, column_type);
  elsif not exists (
    select from pg_catalog.pg_attribute a join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = target and a.attname = 'tenant_id' and a.attnotnull
      and pg_catalog.pg_get_expr(d.adbin, d.adrelid) = 'auth.tenant_id()') then
    execute format('alter table %s alter column tenant_id set not null, alter column tenant_id set default auth.tenant_id()', target);
  end if;
  if not exists (
    select from pg_catalog.pg_index i join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = target and a.attname = 'tenant_id' and i.indpred is null) then
    -- PostgreSQL names it, and finds another name where two tables have the same beginning.
    execute format('create index on %s (tenant_id)', target);
  end if;
  perform tenancy.force_row_security(target,
    '(select current_user = ''service_role'' or pg_catalog.pg_has_role(current_user, ''rowhouse_project'', ''usage'')) or tenant_id = (select auth.tenant_id())');
  perform tenancy.ensure_policy(target, 'tenant_select', 'for select to authenticated using (tenant_id = (select auth.tenant_id()))');
  perform tenancy.ensure_policy(target, 'tenant_insert', 'for insert to authenticated with check (tenant_id = (select auth.tenant_id()))');
  perform tenancy.ensure_policy(target, 'tenant_update', 'for update to authenticated using (tenant_id = (select auth.tenant_id())) with check (tenant_id = (select auth.tenant_id()))');
  perform tenancy.ensure_policy(target, 'tenant_delete', 'for delete to authenticated using (tenant_id = (select auth.tenant_id()))');
  perform tenancy.refresh_references();
end
$$;
grant execute on function tenancy.protect(regclass) to rowhouse_project;

-- Declares a table as common to all tenants and read-only for them.
create function tenancy.share(target regclass) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tenancy.is_protected(target) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = format('%s is a tenant table already', target);
  end if;
  perform tenancy.force_row_security(target, 'true');
  perform tenancy.ensure_policy(target, 'shared_select', 'for select to authenticated using (true)');
  execute format('grant select on %s to authenticated', target);
end
$$;
grant execute on function tenancy.share(regclass) to rowhouse_project;
