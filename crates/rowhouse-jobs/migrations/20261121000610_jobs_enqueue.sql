-- Enqueueing, in the caller's transaction.

-- The partition of these jobs if it exists. Two statements, so that each uses the index, with and without a tenant.
create function jobs.find_partition(of_queue text, of_kind text, of_tenant uuid, of_priority smallint, is_keyed boolean)
returns jobs.partitions
language plpgsql volatile as $$
declare
  found_row jobs.partitions;
begin
  if of_tenant is null then
    select * into found_row from jobs.partitions p
    where p.queue = of_queue and p.kind = of_kind and p.tenant is null and p.priority = of_priority and p.keyed = is_keyed;
  else
    select * into found_row from jobs.partitions p
    where p.queue = of_queue and p.kind = of_kind and p.tenant = of_tenant and p.priority = of_priority and p.keyed = is_keyed;
  end if;
  return found_row;
end
$$;

-- Opens a closed partition. A transaction that has read jobs.partitions keeps jobs.close_idle_partitions out until it ends,
-- so that an open partition stays open. If its snapshot may be older than that, the row itself is locked, which fails
-- (40001) if it has changed.
create function jobs.open_partition(of_partition int) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    perform from jobs.partitions p where p.id = of_partition for share;
  end if;
  update jobs.partitions p set opened = nextval('jobs.openings'), opened_at = clock_timestamp()
  where p.id = of_partition and p.opened is null;
end
$$;

-- The partition's id; creates or opens it if necessary.
create function jobs.partition_of(of_queue text, of_kind text, of_tenant uuid, of_priority smallint, is_keyed boolean)
returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  is_old_snapshot constant boolean := current_setting('transaction_isolation') <> 'read committed';
  found_row jobs.partitions;
begin
  found_row := jobs.find_partition(of_queue, of_kind, of_tenant, of_priority, is_keyed);
  if found_row.id is null then
    perform jobs.require_kind(of_kind);
    perform jobs.require_queue(of_queue);
    insert into jobs.partitions (queue, kind, tenant, priority, keyed)
    values (of_queue, of_kind, of_tenant, of_priority, is_keyed)
    on conflict on constraint partitions_queue_kind_tenant_priority_keyed_key do nothing returning * into found_row;
  end if;
  if found_row.id is null then
    -- created concurrently
    found_row := jobs.find_partition(of_queue, of_kind, of_tenant, of_priority, is_keyed);
  end if;
  if found_row.opened is null or is_old_snapshot then
    perform jobs.open_partition(found_row.id);
  end if;
  return found_row.id;
end
$$;

create function jobs.require_kind(of_kind text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from jobs.kinds k where k.name = of_kind) then
    raise exception using errcode = 'invalid_parameter_value', message = format('no handler for jobs of kind "%s"', of_kind),
      hint = 'Declare it in rowhouse.toml under [jobs.kinds], or correct the name. Known: '
        || (select string_agg(k.name, ', ' order by k.name) from jobs.kinds k);
  end if;
end
$$;

create function jobs.require_queue(of_queue text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from jobs.queues q where q.name = of_queue) then
    raise exception using errcode = 'invalid_parameter_value', message = format('no queue is called "%s"', of_queue),
      hint = 'Declare it in rowhouse.toml under [jobs.queues], or correct the name. Known: '
        || (select string_agg(q.name, ', ' order by q.name) from jobs.queues q);
  end if;
end
$$;

-- Whether this transaction is confined to one caller or tenant: a request of the data API without the service key,
-- also inside security definer functions, or a tenant's own job.
create function jobs.is_confined() returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(current_setting('role', true), '') in ('anon', 'authenticated')
    or (coalesce(current_setting('request.jwt.claims', true), '') <> ''
      and coalesce(current_setting('role', true), '') <> 'service_role')
$$;

-- A confined caller enqueues for its own tenant; others for any tenant.
create function jobs.tenant_of_caller(named uuid) returns uuid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when jobs.is_confined() then own.tenant else coalesce(named, own.tenant) end
  from (select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'tenant_id')::uuid as tenant) own
$$;

-- A job without a tenant calls functions with the rights of the project's owner, so a confined caller cannot enqueue one.
create function jobs.require_tenant(of_kind text, of_tenant uuid) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if of_tenant is null and jobs.is_confined()
    and exists (select from jobs.kinds k where k.name = of_kind and k.handler = 'sql') then
    raise exception using errcode = 'insufficient_privilege',
      message = format('jobs of kind "%s" call functions, and this caller has no tenant for whom', of_kind);
  end if;
end
$$;

-- Refuses oversized payloads: large data belongs into a table, and its key into the payload.
create function jobs.require_small(payload jsonb) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  most constant int := 256 * 1024;
  deepest constant int := 100;
begin
  if octet_length(payload::text) > most then
    raise exception using errcode = 'program_limit_exceeded',
      message = format('a job''s payload has at most %s bytes, this one has %s', most, octet_length(payload::text)),
      hint = 'Keep the data in a table and enqueue its key.';
  end if;
  -- shorter text cannot be nested that deep
  if octet_length(payload::text) > 2 * deepest and jsonb_path_exists(payload, '$.**{101 to last}') then
    raise exception using errcode = 'program_limit_exceeded',
      message = format('a job''s payload is at most %s levels deep', deepest);
  end if;
end
$$;

-- True inside jobs.enqueue_parent. Otherwise a tenant could name another's parent, and end it.
create function jobs.is_family() returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(current_setting('rowhouse.job_family', true), '') = pg_current_xact_id()::text
$$;

-- Enqueues one job and returns its id; if its unique_key is in use, the id of the existing job. The job exists only
-- if the transaction commits.
create function jobs.enqueue(
  kind text,
  payload jsonb default '{}',
  queue text default 'default',
  run_at timestamptz default null,
  priority int default 5,
  tenant uuid default null,
  -- one unfinished job per value
  unique_key text default null,
  -- jobs with the same value run one at a time (or up to the queue's key_concurrency)
  key text default null,
  max_attempts int default null,
  timeout interval default null,
  -- internal: the job that waits for this one
  parent bigint default null
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  job jobs.ready;
  owner_id bigint;
  plain_key constant text := unique_key;
begin
  if jsonb_typeof(payload) is distinct from 'object' then
    raise exception using errcode = 'invalid_parameter_value', message = 'a job''s payload is a JSON object';
  end if;
  if priority not between 0 and 9 then
    raise exception using errcode = 'invalid_parameter_value', message = 'a job''s priority is 0 (first) to 9 (last)';
  end if;
  if max_attempts not between 1 and 1000 then
    raise exception using errcode = 'invalid_parameter_value', message = 'max_attempts is 1 to 1000';
  end if;
  if timeout not between interval '10 milliseconds' and interval '1 day' then
    raise exception using errcode = 'invalid_parameter_value', message = 'timeout is 10 milliseconds to one day';
  end if;
  if length(key) > 500 or length(unique_key) > 500 then
    raise exception using errcode = 'invalid_parameter_value', message = 'a key has at most 500 characters';
  end if;
  -- 'infinity' is used internally to create a parent
  if isfinite(run_at) or not jobs.is_family() then
    perform jobs.require_run_at(run_at) where run_at is not null;
  end if;
  if parent is not null and not jobs.is_family() then
    raise exception using errcode = 'invalid_parameter_value', message = 'children are made with their parent, by jobs.enqueue_parent';
  end if;
  perform jobs.require_small(payload);
  tenant := jobs.tenant_of_caller(tenant);
  perform jobs.require_tenant(kind, tenant) where tenant is null;
  unique_key := coalesce(tenant || ' ', '') || unique_key;
  job.partition := jobs.partition_of(queue, kind, tenant, priority::smallint, key is not null);
  job.id := nextval('jobs.ids');
  -- before the position is drawn: see jobs.ready
  perform pg_current_xact_id();
  job.enqueued_at := clock_timestamp();
  job.attempt := 0;
  job.payload := nullif(payload, '{}');
  job.options := nullif(jsonb_strip_nulls(jsonb_build_object(
    'key', key, 'unique_key', unique_key, 'parent', parent, 'max_attempts', max_attempts,
    'timeout', extract(epoch from timeout), 'request_id', jobs.request_id())), '{}');
  if unique_key is not null then
    insert into jobs.unique_keys as u (key, id) values (unique_key, job.id) on conflict on constraint unique_keys_pkey do nothing;
    if not found then
      select u.id into owner_id from jobs.unique_keys u where u.key = unique_key;
      -- it may just have ended; then this one takes the key
      return coalesce(owner_id, jobs.enqueue(kind, payload, queue, run_at, priority, tenant, plain_key, key, max_attempts, timeout, parent));
    end if;
  end if;
  if run_at > clock_timestamp() then
    insert into jobs.scheduled (run_at, job) values (run_at, job);
  else
    insert into jobs.ready (partition, id, enqueued_at, attempt, payload, options)
    values (job.partition, job.id, job.enqueued_at, 0, job.payload, job.options);
  end if;
  return job.id;
end
$$;

-- Enqueues many plain jobs of one kind at once and returns their ids in order.
create function jobs.enqueue_many(kind text, payloads jsonb[], queue text default 'default', priority int default 5,
  tenant uuid default null) returns setof bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  of_tenant constant uuid := jobs.tenant_of_caller(tenant);
  in_partition constant int := jobs.partition_of(queue, kind, of_tenant, priority::smallint, false);
begin
  perform jobs.require_tenant(kind, of_tenant) where of_tenant is null;
  if exists (select from unnest(payloads) p where jsonb_typeof(p) is distinct from 'object') then
    raise exception using errcode = 'invalid_parameter_value', message = 'a job''s payload is a JSON object';
  end if;
  perform jobs.require_small(p) from unnest(payloads) p;
  perform pg_current_xact_id();
  return query
    with new as (
      insert into jobs.ready (partition, payload)
      select in_partition, nullif(p.payload, '{}') from unnest(payloads) with ordinality p (payload, place) order by p.place
      returning id
    )
    select new.id from new order by 1;
end
$$;

-- Enqueues a job that runs once its children have ended, and not before its own run_at. Both are objects of arguments of
-- jobs.enqueue, as {"kind": "report.build", "payload": {…}}.
create function jobs.enqueue_parent(parent jsonb, children jsonb[], on_failure text default 'fail') returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  job jobs.ready;
  child jsonb;
  parent_id bigint;
begin
  if coalesce(cardinality(children), 0) not between 1 and 10000 then
    raise exception using errcode = 'invalid_parameter_value', message = 'a parent has 1 to 10000 children';
  end if;
  if coalesce(on_failure not in ('fail', 'ignore'), true) then
    raise exception using errcode = 'invalid_parameter_value', message = 'on_failure is fail or ignore';
  end if;
  perform jobs.require_run_at((parent ->> 'run_at')::timestamptz);
  perform set_config('rowhouse.job_family', pg_current_xact_id()::text, true);
  parent_id := jobs.enqueue_spec(parent, 'infinity', null);
  delete from jobs.scheduled s where s.id = parent_id returning (s.job).* into job;
  job.options := nullif(coalesce(job.options, '{}') || jsonb_strip_nulls(jsonb_build_object(
    'not_before', extract(epoch from (parent ->> 'run_at')::timestamptz), 'on_failure', nullif(on_failure, 'fail'))), '{}');
  insert into jobs.waiting (id, job, remaining, on_failure) values (parent_id, job, cardinality(children), on_failure);
  foreach child in array children loop
    perform jobs.enqueue_spec(child, null, parent_id);
  end loop;
  perform set_config('rowhouse.job_family', '', true);
  return parent_id;
end
$$;

create function jobs.enqueue_spec(spec jsonb, at timestamptz, of_parent bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  known constant text[] := '{kind,payload,queue,run_at,priority,tenant,key,max_attempts,timeout}';
  strange text;
begin
  if jsonb_typeof(spec) is distinct from 'object' then
    raise exception using errcode = 'invalid_parameter_value', message = 'parents and children are JSON objects of arguments';
  elsif spec ? 'unique_key' then
    raise exception using errcode = 'invalid_parameter_value', message = 'parents and children cannot be unique';
  end if;
  select k into strange from jsonb_object_keys(spec) k where k <> all (known) limit 1;
  if strange is not null then
    raise exception using errcode = 'invalid_parameter_value', message = format('unknown argument "%s" of a parent or child', strange),
      hint = 'Known: ' || array_to_string(known, ', ');
  end if;
  perform jobs.require_run_at((spec ->> 'run_at')::timestamptz);
  return jobs.enqueue(
    kind => spec ->> 'kind', payload => coalesce(spec -> 'payload', '{}'), queue => coalesce(spec ->> 'queue', 'default'),
    run_at => coalesce(at, (spec ->> 'run_at')::timestamptz), priority => coalesce((spec ->> 'priority')::int, 5),
    tenant => (spec ->> 'tenant')::uuid, key => spec ->> 'key', max_attempts => (spec ->> 'max_attempts')::int,
    timeout => (spec ->> 'timeout')::interval, parent => of_parent);
end
$$;

create function jobs.require_run_at(run_at timestamptz) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if run_at > clock_timestamp() + interval '100 years' then
    raise exception using errcode = 'invalid_parameter_value', message = 'run_at is a time within the next hundred years';
  end if;
end
$$;

-- True the first time it is called with this key by a transaction that commits: for effects that must happen once,
-- however often the job runs. Keys are kept for 30 days, and are separate per tenant.
create function jobs.once(effect text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into jobs.effects (key)
  values (case when jobs.is_confined() then coalesce(jobs.tenant_of_caller(null)::text, '') || ' ' else '' end || effect)
  on conflict do nothing;
  return found;
end
$$;

-- Not executable by callers of the data API: a project allows kinds by security definer functions of its own, which
-- stay confined; see jobs.is_confined.
grant execute on function jobs.enqueue(text, jsonb, text, timestamptz, int, uuid, text, text, int, interval, bigint)
  to service_role, rowhouse_project;
grant execute on function jobs.enqueue_many(text, jsonb[], text, int, uuid) to service_role, rowhouse_project;
grant execute on function jobs.enqueue_parent(jsonb, jsonb[], text) to service_role, rowhouse_project;
-- A tenant's jobs call functions as authenticated and need it; it uses keys of the own tenant only.
grant execute on function jobs.once(text) to authenticated, service_role, rowhouse_project;
