-- Erasing in small steps, each a transaction: an erasure that was interrupted goes on where it stopped.

-- A tenant's jobs that have not run yet, or are dead. They name their tenant by their partition.
create function tenancy.erase_jobs(p_tenant uuid, p_most bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  mine int[] := array(select p.id from jobs.partitions p where p.tenant = p_tenant);
  removed bigint;
  total bigint := 0;
begin
  delete from jobs.ready r where r.ctid = any (array(select c.ctid from jobs.ready c where c.partition = any (mine) limit p_most));
  get diagnostics total = row_count;
  delete from jobs.scheduled s where s.id = any (array(
    select c.id from jobs.scheduled c where (c.job).partition = any (mine) limit p_most));
  get diagnostics removed = row_count;
  total := total + removed;
  delete from jobs.dead d where d.id = any (array(select c.id from jobs.dead c where (c.job).partition = any (mine) limit p_most));
  get diagnostics removed = row_count;
  total := total + removed;
  delete from jobs.results r where r.id = any (array(select c.id from jobs.results c where c.partition = any (mine) limit p_most));
  get diagnostics removed = row_count;
  return total + removed;
end
$$;
comment on function tenancy.erase_jobs(uuid, bigint) is
  'Deletes a tenant''s jobs that wait or are dead, and results; returns how many.';

-- From here on it cannot be restored. Nothing of its name is left.
create function tenancy.begin_erasing_tenant(p_tenant uuid) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_organization uuid;
begin
  update tenancy.tenants t set status = 'erased', name = '', slug = 'erased-' || t.id, branding = '{}', plan = null,
    suspension_reason = null
  where t.id = p_tenant and t.status = 'deleted' returning t.organization_id into v_organization;
  if not found then
    return false;
  end if;
  perform tenancy.note_step('tenant', 'erasure_began', p_tenant, v_organization, '{}');
  return true;
end
$$;
comment on function tenancy.begin_erasing_tenant(uuid) is 'Makes a deleted tenant one that is being erased; false for any other.';

create function tenancy.begin_erasing_organization(p_organization uuid) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update tenancy.organizations o set status = 'erased', name = 'erased', slug = 'erased-' || o.id, suspension_reason = null
  where o.id = p_organization and o.status = 'deleted';
  if not found then
    return false;
  end if;
  perform tenancy.note_step('organization', 'erasure_began', p_organization, p_organization, '{}');
  update tenancy.tenants t set status = 'deleted' where t.organization_id = p_organization and t.status not in ('deleted', 'erased');
  perform tenancy.begin_erasing_tenant(t.id) from tenancy.tenants t
  where t.organization_id = p_organization and t.status = 'deleted';
  return true;
end
$$;
comment on function tenancy.begin_erasing_organization(uuid) is
  'Makes a deleted organization, with its tenants, one that is being erased; false for any other.';

create function tenancy.begin_erasures(cutoff timestamptz) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  most constant int := 50;
  begun bigint;
begin
  select count(*) filter (where tenancy.begin_erasing_organization(due.id)) into begun from (
    select o.id from tenancy.organizations o where o.status = 'deleted' and o.deleted_at < cutoff
    order by o.deleted_at limit most for no key update skip locked) due;
  if begun > 0 then
    return begun;
  end if;
  select count(*) filter (where tenancy.begin_erasing_tenant(due.id)) into begun from (
    select t.id from tenancy.tenants t where t.status = 'deleted' and t.deleted_at < cutoff
    order by t.deleted_at limit most for no key update skip locked) due;
  return begun;
end
$$;
comment on function tenancy.begin_erasures(timestamptz) is
  'Begins to erase what was deleted before the cutoff, 50 organizations or tenants in one call; returns how many.';

-- Returns the rows that it has deleted, and one more if it was the last step.
create function tenancy.go_on_erasing(p_parent regclass, p_id uuid, p_most bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  is_tenant boolean := p_parent = 'tenancy.tenants'::regclass;
  total bigint;
  v_organization uuid := p_id;
  remaining text;
begin
  -- the project's triggers run in this transaction
  perform audit.keep_origin();
  total := tenancy.erase_project_rows(p_parent, p_id, p_most);
  if total < p_most then
    total := total + tenancy.erase_platform_rows(p_parent, p_id, p_most - total);
  end if;
  if is_tenant and total < p_most then
    total := total + tenancy.erase_jobs(p_id, p_most - total);
  end if;
  if total > 0 then
    return total;
  end if;
  -- a trigger may keep rows, silently
  select string_agg(r.name, ', ') into remaining from tenancy.count_rows(p_parent, p_id) r where r.count > 0;
  if remaining is not null then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = format('rows are left in %s', remaining);
  elsif is_tenant then
    update tenancy.tenants t set erased_at = clock_timestamp(), erasure_failed_at = null
    where t.id = p_id returning t.organization_id into v_organization;
  else
    update tenancy.organizations o set erased_at = clock_timestamp(), erasure_failed_at = null where o.id = p_id;
  end if;
  perform tenancy.note_step(case when is_tenant then 'tenant' else 'organization' end, 'erased', p_id, v_organization, '{}');
  return 1;
end
$$;
comment on function tenancy.go_on_erasing(regclass, uuid, bigint) is
  'A step of the erasure of a tenant or an organization, whose row is locked; the last one notes that it is done.';

create function tenancy.next_erasure(out parent regclass, out id uuid)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  pause constant interval := '1 hour';
begin
  parent := 'tenancy.tenants';
  select t.id into id from tenancy.tenants t
  where t.status = 'erased' and t.erased_at is null
    and (t.erasure_failed_at is null or t.erasure_failed_at < clock_timestamp() - pause)
  order by t.id limit 1 for no key update skip locked;
  if id is not null then
    return;
  end if;
  parent := 'tenancy.organizations';
  select o.id into id from tenancy.organizations o
  where o.status = 'erased' and o.erased_at is null
    and (o.erasure_failed_at is null or o.erasure_failed_at < clock_timestamp() - pause)
    and not exists (select from tenancy.tenants t where t.organization_id = o.id and t.erased_at is null)
  order by o.id limit 1 for no key update skip locked;
end
$$;
comment on function tenancy.next_erasure() is
  'What is erased next, locked; what failed within the last hour is left out, so that it holds up nothing else.';

create function tenancy.note_failure(p_parent regclass, p_id uuid, p_why text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  details jsonb := jsonb_build_object('error', left(p_why, 1000));
begin
  if p_parent = 'tenancy.tenants'::regclass then
    update tenancy.tenants t set erasure_failed_at = clock_timestamp() where t.id = p_id;
    perform tenancy.note_step('tenant', 'erasure_failed', p_id, audit.organization_of(p_id), details);
  else
    update tenancy.organizations o set erasure_failed_at = clock_timestamp() where o.id = p_id;
    perform tenancy.note_step('organization', 'erasure_failed', p_id, p_id, details);
  end if;
end
$$;
comment on function tenancy.note_failure(regclass, uuid, text) is 'Records that rows could not be erased.';

-- What cannot be erased, because of a reference or a trigger of the project, is noted and tried again an hour later.
create function tenancy.erase(ages double precision[]) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  most constant bigint := 2000;
  begun bigint := tenancy.begin_erasures(clock_timestamp() - make_interval(secs => ages[1]));
  subject record;
  why text;
begin
  if begun > 0 then
    return begun;
  end if;
  select * into subject from tenancy.next_erasure();
  if subject.id is null then
    return 0;
  end if;
  return tenancy.go_on_erasing(subject.parent, subject.id, most);
exception
  when serialization_failure or deadlock_detected then
    raise;
  when others then
    get stacked diagnostics why = message_text;
    perform tenancy.note_failure(subject.parent, subject.id, why);
  return 1;
end
$$;
comment on function tenancy.erase(double precision[]) is
  'A step of erasing what was deleted longer than ages[1] seconds ago; 0 when nothing is left to do.';
revoke execute on function tenancy.erase_jobs(uuid, bigint), tenancy.begin_erasing_tenant(uuid),
  tenancy.begin_erasing_organization(uuid), tenancy.begin_erasures(timestamptz), tenancy.go_on_erasing(regclass, uuid, bigint),
  tenancy.next_erasure(), tenancy.note_failure(regclass, uuid, text), tenancy.erase(double precision[]) from public;
