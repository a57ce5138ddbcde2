-- Beginning, ending and taking back runs.

create function provisioning.record(p_tenant uuid, action text, details jsonb default '{}') returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_organization uuid := (select r.organization_id from provisioning.runs r where r.tenant_id = p_tenant);
begin
  perform audit.write('provisioning', action, 'tenant', p_tenant::text, details, tenant_id => p_tenant,
    organization_id => v_organization);
  perform events.emit('provisioning.' || action,
    details || jsonb_build_object('tenant_id', p_tenant, 'organization_id', v_organization), p_tenant);
end
$$;
comment on function provisioning.record(uuid, text, jsonb) is 'Writes an audit entry and an event about a tenant''s run.';

-- At most one unfinished job of each kind for a tenant, and one at a time of both. A process that knows no such jobs leaves them to
-- provisioning.sweep.
create function provisioning.enqueue(p_tenant uuid, p_kind text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from jobs.kinds k where k.name = p_kind) then
    perform jobs.enqueue(kind => p_kind, payload => jsonb_build_object('tenant', p_tenant),
      unique_key => p_kind || ' ' || p_tenant, key => 'provision ' || p_tenant);
  end if;
end
$$;
comment on function provisioning.enqueue(uuid, text) is 'Enqueues a job for a tenant''s run, unless there is one.';

create or replace function tenancy.provision(p_tenant uuid, p_is_new boolean) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_organization uuid;
  v_status text;
begin
  select t.organization_id into v_organization from tenancy.tenants t where t.id = p_tenant and t.is_open;
  if v_organization is null then
    return false;
  end if;
  insert into provisioning.runs as r (tenant_id, organization_id, is_new) values (p_tenant, v_organization, p_is_new)
  on conflict on constraint runs_pkey do update
  set status = 'pending', attempts = 0, error = null, finished_at = null, updated_at = clock_timestamp(),
    requested_by = excluded.requested_by, is_new = excluded.is_new
  where r.status = 'undone';
  if not found then
    select r.status into v_status from provisioning.runs r where r.tenant_id = p_tenant;
    if v_status in ('pending', 'running') then
      perform provisioning.enqueue(p_tenant, 'provision.run');
    end if;
    return false;
  end if;
  insert into provisioning.steps as s (tenant_id, position, name)
  select p_tenant, n.position, n.name
  from unnest(array['records', 'roles', 'defaults', 'storage', 'hook', 'welcome']) with ordinality as n (name, position)
  on conflict on constraint steps_pkey do update
  set status = 'pending', attempts = 0, error = null, result = '{}', started_at = null, finished_at = null;
  perform provisioning.record(p_tenant, 'provisioning_started');
  perform provisioning.enqueue(p_tenant, 'provision.run');
  return true;
end
$$;

create function provisioning.time_text(p_time timestamptz) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select to_jsonb(p_time at time zone 'UTC') #>> '{}' || 'Z'
$$;
comment on function provisioning.time_text(timestamptz) is 'A time as in 2026-11-28T12:00:00Z.';

create or replace function tenancy.provisioning_of(p_tenant uuid) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object('tenant_id', r.tenant_id, 'organization_id', r.organization_id, 'status', r.status,
    'is_new', r.is_new, 'requested_by', r.requested_by, 'attempts', r.attempts, 'error', r.error,
    'created_at', provisioning.time_text(r.created_at), 'updated_at', provisioning.time_text(r.updated_at),
    'finished_at', provisioning.time_text(r.finished_at),
    'steps_done', count(*) filter (where s.status = 'done'), 'steps_total', count(*),
    'steps', jsonb_agg(jsonb_build_object('name', s.name, 'status', s.status, 'attempts', s.attempts, 'error', s.error,
      'started_at', provisioning.time_text(s.started_at), 'finished_at', provisioning.time_text(s.finished_at))
      order by s.position))
  from provisioning.runs r join provisioning.steps s on s.tenant_id = r.tenant_id
  where r.tenant_id = p_tenant
  group by r.tenant_id
$$;

-- Whether it was taken back already, or is done, is for the caller to say.
create function provisioning.undo(p_tenant uuid, p_reason text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update provisioning.runs r set status = 'undoing', error = left(p_reason, 500), updated_at = clock_timestamp()
  where r.tenant_id = p_tenant and r.status in ('pending', 'running');
  if not found then
    return false;
  end if;
  perform provisioning.record(p_tenant, 'provisioning_failed', jsonb_build_object('reason', left(p_reason, 500)));
  perform provisioning.enqueue(p_tenant, 'provision.undo');
  return true;
end
$$;
comment on function provisioning.undo(uuid, text) is 'Begins to roll a run back that is not done; false if there is none.';

-- The project's rows are seen by its own role, which its policies give access to every tenant's.
create function provisioning.has_rows(p_tenant uuid) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  target regclass;
  found_one boolean;
begin
  for target in select p.polrelid::regclass from pg_policy p where p.polname = 'tenant_select' loop
    execute format('select exists (select from %s where tenant_id = $1)', target) into found_one using p_tenant;
    if found_one then
      return true;
    end if;
  end loop;
  return false;
end
$$;
comment on function provisioning.has_rows(uuid) is 'Whether a protected table of the project has rows of a tenant.';
revoke execute on function provisioning.has_rows(uuid) from public;
grant create on schema provisioning to rowhouse_project;
alter function provisioning.has_rows(uuid) owner to rowhouse_project;
revoke create on schema provisioning from rowhouse_project;

-- A tenant that somebody works in already is deleted as people delete it: it can be restored, and is erased later. Its name in URLs
-- becomes free in both cases. One that somebody has closed meanwhile stays as it is.
create function provisioning.remove_tenant(p_tenant uuid) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform from tenancy.tenants t where t.id = p_tenant and t.is_open for update;
  if not found then
    return 'kept';
  elsif not provisioning.has_rows(p_tenant) then
    begin
      delete from tenancy.tenants t where t.id = p_tenant;
      return 'removed';
    exception when foreign_key_violation then
      null;
    end;
  end if;
  update tenancy.tenants t set status = 'deleted', slug = 'undone-' || t.id where t.id = p_tenant;
  return 'deleted';
end
$$;
comment on function provisioning.remove_tenant(uuid) is 'Removes a new tenant, or deletes it if it has rows of the project: removed, deleted, or kept if it is closed.';

-- ages[1]: of the last sign of life of a run that should go on, ages[2]: of runs whose tenant is gone, both in seconds.
create function provisioning.sweep(ages double precision[]) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  due record;
  touched bigint := 0;
  removed bigint;
begin
  for due in
    update provisioning.runs r set updated_at = clock_timestamp()
    where r.tenant_id = any (array(
      select l.tenant_id from provisioning.runs l
      where l.status in ('pending', 'running', 'undoing') and l.updated_at < clock_timestamp() - make_interval(secs => ages[1])
      order by l.updated_at limit 1000 for update skip locked))
    returning r.tenant_id, r.status
  loop
    perform provisioning.enqueue(due.tenant_id, case due.status when 'undoing' then 'provision.undo' else 'provision.run' end);
    touched := touched + 1;
  end loop;
  delete from provisioning.runs where tenant_id = any (array(
    select r.tenant_id from provisioning.runs r
    where r.finished_at < clock_timestamp() - make_interval(secs => ages[2])
      and not exists (select from tenancy.tenants t where t.id = r.tenant_id)
    limit 1000));
  get diagnostics removed = row_count;
  return touched + removed;
end
$$;
comment on function provisioning.sweep(double precision[]) is
  'Enqueues again the jobs of runs that show no sign of life, and removes old runs of tenants that are gone; how many.';

revoke execute on function provisioning.record(uuid, text, jsonb), provisioning.enqueue(uuid, text), provisioning.time_text(timestamptz),
  provisioning.undo(uuid, text), provisioning.remove_tenant(uuid), provisioning.sweep(double precision[]) from public;
