-- What happens by itself in the life of organizations and tenants: trials end, and what was deleted is erased once it can no
-- longer be restored. The audit log keeps what it says about an erased tenant, whose row stays as a skeleton.
alter table tenancy.organizations
  drop constraint organizations_status_check,
  add constraint organizations_status_check
    check (status in ('trial', 'active', 'suspended', 'cancelled', 'deleted', 'erased')),
  add column erased_at timestamptz,
  add column erasure_failed_at timestamptz;
comment on column tenancy.organizations.status is 'trial, active, suspended, cancelled, deleted or erased';
comment on column tenancy.organizations.erased_at is 'when the last of its rows was erased';
comment on column tenancy.organizations.erasure_failed_at is 'when its rows could last not be erased';
alter table tenancy.tenants
  add column erased_at timestamptz,
  add column erasure_failed_at timestamptz;
comment on column tenancy.tenants.erased_at is 'when the last of its rows was erased';
comment on column tenancy.tenants.erasure_failed_at is 'when its rows could last not be erased';

create index tenants_trial_ends_at_idx on tenancy.tenants (trial_ends_at) where status = 'trial';
create index organizations_trial_ends_at_idx on tenancy.organizations (trial_ends_at) where status = 'trial';
create index tenants_deleted_at_idx on tenancy.tenants (deleted_at) where status = 'deleted';
create index organizations_deleted_at_idx on tenancy.organizations (deleted_at) where status = 'deleted';
create index tenants_erasing_idx on tenancy.tenants (id) where status = 'erased' and erased_at is null;
create index organizations_erasing_idx on tenancy.organizations (id) where status = 'erased' and erased_at is null;

create function tenancy.note_step(p_kind text, p_step text, p_id uuid, p_organization uuid, p_details jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_tenant uuid := case when p_kind = 'tenant' then p_id end;
  v_action text := p_kind || '_' || p_step;
begin
  perform audit.write('tenancy', v_action, p_kind, p_id::text, p_details, v_tenant, organization_id => p_organization);
  perform events.emit('tenancy.' || v_action, p_details || jsonb_strip_nulls(
    jsonb_build_object('organization_id', p_organization, 'tenant_id', v_tenant)), v_tenant);
end
$$;
comment on function tenancy.note_step(text, text, uuid, uuid, jsonb) is
  'Records a step in the life of an organization or a tenant in the audit log and as an event.';

create function tenancy.end_trials() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  most constant int := 200;
  ended record;
  total bigint := 0;
begin
  for ended in
    update tenancy.tenants t set status = 'suspended', suspension_reason = 'trial_ended'
    where t.id = any (array(
      select d.id from tenancy.tenants d where d.status = 'trial' and d.trial_ends_at <= clock_timestamp()
      order by d.trial_ends_at limit most for no key update skip locked))
    returning 'tenant' as kind, t.id, t.organization_id
  loop
    perform tenancy.note_step(ended.kind, 'suspended', ended.id, ended.organization_id,
      '{"before": "trial", "after": "suspended", "reason": "trial_ended"}');
    total := total + 1;
  end loop;
  for ended in
    update tenancy.organizations o set status = 'suspended', suspension_reason = 'trial_ended'
    where o.id = any (array(
      select d.id from tenancy.organizations d where d.status = 'trial' and d.trial_ends_at <= clock_timestamp()
      order by d.trial_ends_at limit most for no key update skip locked))
    returning 'organization' as kind, o.id, o.id as organization_id
  loop
    perform tenancy.note_step(ended.kind, 'suspended', ended.id, ended.organization_id,
      '{"before": "trial", "after": "suspended", "reason": "trial_ended"}');
    total := total + 1;
  end loop;
  return total;
end
$$;
comment on function tenancy.end_trials() is
  'Suspends organizations and tenants whose trial has ended, 200 of each in one call; returns how many.';
revoke execute on function tenancy.note_step(text, text, uuid, uuid, jsonb), tenancy.end_trials() from public;

-- Where rows of a tenant, or of an organization, lie: protected tables, tables that would lose them by a cascade, and for a
-- tenant tables of the platform's higher schemas that name it. What only points there (a session's tenant) is left, and so
-- are the audit log and the outbox.
create function tenancy.tables_of(p_parent regclass)
returns table (target regclass, full_name text, column_name name, is_partitioned boolean, of_project boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select c.oid::regclass, c.oid::regclass::text, found.column_name, c.relkind = 'p', c.relowner <> 'rowhouse_owner'::regrole
  from (
    select p.polrelid as relation, 'tenant_id'::name as column_name from pg_policy p
    where p.polname = 'tenant_select' and p_parent = 'tenancy.tenants'::regclass
    union
    select k.conrelid, a.attname from pg_constraint k
    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
    where k.contype = 'f' and k.confrelid = p_parent and k.confdeltype = 'c' and cardinality(k.conkey) = 1
    union
    select a.attrelid, a.attname from pg_attribute a
    join pg_class t on t.oid = a.attrelid and t.relowner = 'rowhouse_owner'::regrole
    where p_parent = 'tenancy.tenants'::regclass and a.attname = 'tenant' and a.atttypid = 'uuid'::regtype
      and t.relnamespace in (select n.oid from pg_namespace n where n.nspname not in ('rowhouse', 'audit', 'events', 'auth', 'jobs'))
  ) found
  join pg_class c on c.oid = found.relation
  where c.relkind in ('r', 'p') and not c.relispartition and c.oid <> 'tenancy.tenants'::regclass
  order by c.oid::regclass::text, found.column_name
$$;
comment on function tenancy.tables_of(regclass) is 'Tables with rows of tenants (tenancy.tenants) or of organizations.';

create function tenancy.deletion_of(p_target regclass, p_column name, p_is_partitioned boolean) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  -- a row's place is unique within one partition only
  select case when p_is_partitioned
    then format('delete from %1$s d using (select tableoid as part, ctid as place from %1$s where %2$I = $1 limit $2) picked '
      'where d.%2$I = $1 and d.tableoid = picked.part and d.ctid = picked.place', p_target, p_column)
    else format('delete from %1$s where ctid = any (array(select ctid from %1$s where %2$I = $1 limit $2))', p_target, p_column)
  end
$$;
comment on function tenancy.deletion_of(regclass, name, boolean) is 'A statement that deletes $2 rows of the owner $1.';
grant execute on function tenancy.tables_of(regclass), tenancy.deletion_of(regclass, name, boolean) to rowhouse_project;

create function tenancy.erase_platform_rows(p_parent regclass, p_id uuid, p_most bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  one record;
  removed bigint;
  total bigint := 0;
begin
  for one in select * from tenancy.tables_of(p_parent) t where not t.of_project loop
    exit when total >= p_most;
    execute tenancy.deletion_of(one.target, one.column_name, one.is_partitioned) using p_id, p_most - total;
    get diagnostics removed = row_count;
    total := total + removed;
  end loop;
  return total;
end
$$;
comment on function tenancy.erase_platform_rows(regclass, uuid, bigint) is
  'Deletes rows of a tenant or an organization in tables of the platform; returns how many.';

-- Deletes run the project's triggers, so this has the project's rights and finds its names. A parent that children of
-- other tables still refer to is left for the next call. Where rows refer to each other, only all of a table go at once.
create function tenancy.erase_project_rows(p_parent regclass, p_id uuid, p_most bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog, public, extensions, pg_temp as $$
declare
  one record;
  removed bigint;
  total bigint := 0;
  bound bigint;
  refusal text;
begin
  foreach bound in array array[p_most, null] loop
    for one in select * from tenancy.tables_of(p_parent) t where t.of_project loop
      exit when total >= p_most;
      begin
        execute tenancy.deletion_of(one.target, one.column_name, one.is_partitioned) using p_id, bound - total;
        get diagnostics removed = row_count;
        total := total + removed;
      exception when foreign_key_violation or restrict_violation then
        get stacked diagnostics refusal = message_text;
      end;
    end loop;
    exit when total > 0 or refusal is null;
  end loop;
  if total = 0 and refusal is not null then
    raise exception using errcode = 'foreign_key_violation', message = refusal;
  end if;
  return total;
end
$$;
comment on function tenancy.erase_project_rows(regclass, uuid, bigint) is
  'Deletes rows of a tenant or an organization in the project''s tables; returns how many.';

create function tenancy.count_project_rows(p_parent regclass, p_id uuid) returns table (name text, count bigint)
language plpgsql stable security definer set search_path = pg_catalog, public, extensions, pg_temp as $$
declare
  one record;
begin
  for one in select * from tenancy.tables_of(p_parent) t where t.of_project loop
    name := one.full_name;
    execute format('select count(*) from %s where %I = $1', one.target, one.column_name) into count using p_id;
    return next;
  end loop;
end
$$;
comment on function tenancy.count_project_rows(regclass, uuid) is
  'How many rows of a tenant or an organization each of the project''s tables has.';
grant create on schema tenancy to rowhouse_project;
alter function tenancy.erase_project_rows(regclass, uuid, bigint) owner to rowhouse_project;
alter function tenancy.count_project_rows(regclass, uuid) owner to rowhouse_project;
revoke create on schema tenancy from rowhouse_project;
revoke execute on function tenancy.tables_of(regclass), tenancy.deletion_of(regclass, name, boolean),
  tenancy.erase_platform_rows(regclass, uuid, bigint), tenancy.erase_project_rows(regclass, uuid, bigint),
  tenancy.count_project_rows(regclass, uuid) from public;
grant execute on function tenancy.erase_project_rows(regclass, uuid, bigint), tenancy.count_project_rows(regclass, uuid)
  to rowhouse_owner;

create function tenancy.count_rows(p_parent regclass, p_id uuid) returns table (name text, count bigint)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  one record;
begin
  return query select r.name, r.count from tenancy.count_project_rows(p_parent, p_id) r;
  for one in select * from tenancy.tables_of(p_parent) t where not t.of_project loop
    name := one.full_name;
    execute format('select count(*) from %s where %I = $1', one.target, one.column_name) into count using p_id;
    return next;
  end loop;
end
$$;
comment on function tenancy.count_rows(regclass, uuid) is 'How many rows of a tenant or an organization each table has.';
revoke execute on function tenancy.count_rows(regclass, uuid) from public;
