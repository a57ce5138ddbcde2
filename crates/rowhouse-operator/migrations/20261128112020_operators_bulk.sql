-- Bulk jobs: one action for many users, in batches by a durable job. Each user has an item, and a batch is one transaction
-- with its items' outcomes, so a process that dies repeats nothing.
create table operators.bulk_jobs (
  id uuid not null,
  action text not null check (action in ('activate', 'suspend', 'export', 'invite', 'delete')),
  reason text check (char_length(reason) between 1 and 500),
  parameters jsonb not null default '{}' check (jsonb_typeof(parameters) = 'object' and length(parameters::text) <= 8192),
  is_dry_run boolean not null,
  state text not null default 'running' check (state in ('running', 'done', 'cancelled')),
  total int not null default 0,
  succeeded int not null default 0,
  skipped int not null default 0,
  failed int not null default 0,
  created_by text not null check (length(created_by) between 1 and 255),
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  constraint bulk_jobs_pkey primary key (id),
  constraint bulk_jobs_state_ended_at_check check ((state = 'running') = (ended_at is null))
);
create index bulk_jobs_ended_at_idx on operators.bulk_jobs (ended_at);
comment on table operators.bulk_jobs is 'Actions of operators for many users.';
comment on column operators.bulk_jobs.id is 'Identifies it.';
comment on column operators.bulk_jobs.action is 'activate, suspend, export, invite or delete.';
comment on column operators.bulk_jobs.reason is 'Why, for operators.';
comment on column operators.bulk_jobs.parameters is 'Whom it was asked for: the filter; of an invitation organization and role.';
comment on column operators.bulk_jobs.is_dry_run is 'Whether each item is tried and rolled back.';
comment on column operators.bulk_jobs.state is 'running, done or cancelled.';
comment on column operators.bulk_jobs.total is 'How many items it has.';
comment on column operators.bulk_jobs.succeeded is 'Items that are done.';
comment on column operators.bulk_jobs.skipped is 'Items that needed nothing.';
comment on column operators.bulk_jobs.failed is 'Items that failed.';
comment on column operators.bulk_jobs.created_by is 'Who asked for it, as in the audit log; looked up again before each batch.';
comment on column operators.bulk_jobs.created_at is 'When it was asked for.';
comment on column operators.bulk_jobs.ended_at is 'When no item was left, or it was cancelled; null while it runs.';

create table operators.bulk_items (
  bulk_job_id uuid not null references operators.bulk_jobs (id) on delete cascade,
  number int not null check (number > 0),
  user_id uuid,
  email text check (length(email) between 1 and 255),
  state text not null default 'pending' check (state in ('pending', 'done', 'skipped', 'failed')),
  error text check (length(error) <= 500),
  result jsonb,
  ended_at timestamptz,
  constraint bulk_items_pkey primary key (bulk_job_id, number),
  constraint bulk_items_user_id_email_check check (num_nonnulls(user_id, email) > 0)
);
create index bulk_items_pending_idx on operators.bulk_items (bulk_job_id, number) where state = 'pending';
create index bulk_items_failed_idx on operators.bulk_items (bulk_job_id, number) where state = 'failed';
comment on table operators.bulk_items is 'Users of bulk jobs, with what became of each.';
comment on column operators.bulk_items.bulk_job_id is 'The job.';
comment on column operators.bulk_items.number is 'Its place, from 1.';
comment on column operators.bulk_items.user_id is 'The user. No reference: the row outlives a deleted user.';
comment on column operators.bulk_items.email is 'The address that is invited; else the user''s when it was done.';
comment on column operators.bulk_items.state is 'pending, done, skipped (there was nothing to do) or failed.';
comment on column operators.bulk_items.error is 'Why it failed.';
comment on column operators.bulk_items.result is 'What an export has read.';
comment on column operators.bulk_items.ended_at is 'When it was done; null while it is pending.';

-- Known before the first worker has started.
insert into jobs.kinds (name, max_attempts, timeout) values ('operators.bulk', 20, interval '1 hour');

do $$
declare
  name text;
begin
  foreach name in array array['bulk_jobs', 'bulk_items'] loop
    execute format('alter table operators.%I enable row level security', name);
    execute format('alter table operators.%I force row level security', name);
    execute format('create policy owner_all on operators.%I to rowhouse_owner using (true) with check (true)', name);
  end loop;
end
$$;

create function operators.status_of(u auth.users) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when u.deleted_at is not null then 'deleted' when u.banned_until > now() then 'suspended' else 'active' end
$$;
comment on function operators.status_of(auth.users) is 'active, suspended or deleted.';
revoke execute on function operators.status_of(auth.users) from public;

-- What an export says of a user.
create function operators.export(p_user uuid) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object('id', u.id, 'email', u.email, 'phone', u.phone,
    'name', coalesce(u.raw_user_meta_data ->> 'full_name', u.raw_user_meta_data ->> 'name'),
    'status', operators.status_of(u), 'created_at', u.created_at, 'last_sign_in_at', u.last_sign_in_at,
    'organizations', (select coalesce(jsonb_agg(jsonb_build_object('id', m.organization_id, 'role', m.role) order by m.organization_id), '[]')
      from (select * from tenancy.organization_members o where o.user_id = u.id order by o.organization_id limit 100) m))
  from auth.users u where u.id = p_user
$$;
comment on function operators.export(uuid) is 'A user with the organizations, 100 at most; null if there is none.';
revoke execute on function operators.export(uuid) from public;

create function operators.delete_user(p_user uuid, p_reason text, p_actor text) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  refused constant text := operators.refusal(p_user, p_actor);
begin
  if refused is not null then
    return refused;
  elsif not exists (select from auth.users u where u.id = p_user) then
    return 'unchanged';
  end if;
  perform operators.audit('user_deleted', p_user,
    (select jsonb_build_object('sessions', e.ended) from operators.end_sessions(array[p_user]) e),
    jsonb_strip_nulls(jsonb_build_object('reason', p_reason)));
  perform operators.delete_orphans(p_user, 'owner_deleted', false);
  perform auth.delete_user(p_user);
  return 'done';
end
$$;
comment on function operators.delete_user(uuid, text, text) is 'Deletes a user with what depends on them: done, unchanged, or why not (self, operator). An error if an organization of others would lose its last owner.';
revoke execute on function operators.delete_user(uuid, text, text) from public;

-- Does one item. A failure, such as a refusal by a trigger of the project, undoes this item alone. A dry run raises RH000 at
-- the end, which undoes what was done and keeps the outcome.
create function operators.do_item(p_job operators.bulk_jobs, p_item operators.bulk_items) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  outcome text;
  why text;
  told constant text := (select u.email from auth.users u where u.id = p_item.user_id);
  exported jsonb;
begin
  begin
    case p_job.action
      when 'suspend' then outcome := operators.suspend(p_item.user_id, p_job.reason, p_job.created_by);
      when 'activate' then outcome := operators.reactivate(p_item.user_id, p_job.reason, p_job.created_by);
      when 'delete' then outcome := operators.delete_user(p_item.user_id, p_job.reason, p_job.created_by);
      else
        exported := operators.export(p_item.user_id);
        outcome := case when exported is null then 'missing' else 'done' end;
    end case;
    if p_job.is_dry_run then
      raise exception using errcode = 'RH000', message = 'dry run';
    end if;
  exception
    when sqlstate 'RH000' then null;
    when others then
      outcome := 'error';
      why := sqlerrm;
  end;
  outcome := operators.end_item(p_item, outcome, why, told, exported);
  return outcome;
end
$$;
comment on function operators.do_item(operators.bulk_jobs, operators.bulk_items) is 'Does one item of a bulk job; returns its new state.';
revoke execute on function operators.do_item(operators.bulk_jobs, operators.bulk_items) from public;

create function operators.end_item(p_item operators.bulk_items, p_outcome text, p_why text, p_email text, p_result jsonb)
returns text
language sql set search_path = pg_catalog, pg_temp as $$
  update operators.bulk_items i set ended_at = clock_timestamp(), email = coalesce(i.email, left(p_email, 255)),
    result = p_result,
    state = case p_outcome when 'done' then 'done' when 'unchanged' then 'skipped' else 'failed' end,
    error = left(case p_outcome when 'done' then null when 'unchanged' then null when 'missing' then 'there is no such user'
      when 'self' then 'this is the account of who asked for it' when 'operator' then 'the user is an operator'
      else p_why end, 500)
  where i.bulk_job_id = p_item.bulk_job_id and i.number = p_item.number
  returning i.state
$$;
comment on function operators.end_item(operators.bulk_items, text, text, text, jsonb) is 'Writes what became of an item; returns its state.';
revoke execute on function operators.end_item(operators.bulk_items, text, text, text, jsonb) from public;

-- Closes or opens the accounts of a batch together. Undone if it fails for one of them; each is then done by itself.
create function operators.do_together(p_job operators.bulk_jobs, p_items operators.bulk_items[]) returns text[]
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  users constant uuid[] := array(select i.user_id from unnest(p_items) i);
  outcomes jsonb;
begin
  begin
    if p_job.action = 'suspend' then
      outcomes := (select jsonb_object_agg(d.user_id, d.outcome)
        from operators.suspend_all(users, p_job.reason, p_job.created_by) d);
    else
      outcomes := (select jsonb_object_agg(d.user_id, d.outcome)
        from operators.reactivate_all(users, p_job.reason, p_job.created_by) d);
    end if;
    if p_job.is_dry_run then
      raise exception using errcode = 'RH000', message = 'dry run';
    end if;
  exception
    when sqlstate 'RH000' then null;
    when others then outcomes := null;
  end;
  if outcomes is null then
    return null;
  end if;
  return array(
    select operators.end_item(i, outcomes ->> i.user_id::text, null, u.email, null)
    from unnest(p_items) i left join auth.users u on u.id = i.user_id order by i.number);
end
$$;
comment on function operators.do_together(operators.bulk_jobs, operators.bulk_items[]) is
  'Suspends or activates the users of these items together; returns the items'' new states, and null if nothing was done.';
revoke execute on function operators.do_together(operators.bulk_jobs, operators.bulk_items[]) from public;

-- Whether who asked for a job may still do it: not if he has lost his role since.
create function operators.may_run(p_actor text, p_action text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when p_actor ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    then coalesce(tenancy.operator_role(p_actor::uuid) = 'super_admin'
      or (tenancy.operator_role(p_actor::uuid) = 'support' and p_action not in ('invite', 'delete')), false)
    else true end
$$;
comment on function operators.may_run(text, text) is 'Whether an actor may run a bulk action: super_admins all, support all but invite and delete, others that are no users all.';
revoke execute on function operators.may_run(text, text) from public;

-- Adds what a batch has done; without pending items the job is done.
create function operators.count_batch(p_job uuid, p_succeeded int, p_skipped int, p_failed int) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  is_over constant boolean := not exists (
    select from operators.bulk_items i where i.bulk_job_id = p_job and i.state = 'pending');
  job operators.bulk_jobs;
begin
  update operators.bulk_jobs j set succeeded = j.succeeded + p_succeeded, skipped = j.skipped + p_skipped,
    failed = j.failed + p_failed, state = case when j.state = 'running' and is_over then 'done' else j.state end,
    ended_at = case when j.state <> 'running' then j.ended_at when is_over then clock_timestamp() end
  where j.id = p_job returning j.* into job;
  if job.state = 'done' then
    perform audit.write('operator', 'bulk_job_done', 'bulk_job', p_job::text, jsonb_build_object('action', job.action,
      'dry_run', job.is_dry_run, 'succeeded', job.succeeded, 'skipped', job.skipped, 'failed', job.failed));
  end if;
  return job.state = 'running';
end
$$;
comment on function operators.count_batch(uuid, int, int, int) is 'Adds a batch to the counts of a bulk job, and ends one without pending items; returns whether it goes on.';
revoke execute on function operators.count_batch(uuid, int, int, int) from public;

create function operators.cancel_bulk_job(p_job uuid, p_why text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update operators.bulk_jobs j set state = 'cancelled', ended_at = clock_timestamp() where j.id = p_job and j.state = 'running';
  if found then
    perform audit.write('operator', 'bulk_job_cancelled', 'bulk_job', p_job::text,
      jsonb_strip_nulls(jsonb_build_object('why', p_why)));
  end if;
  return found;
end
$$;
comment on function operators.cancel_bulk_job(uuid, text) is 'Ends a bulk job after the batch that it is at; whether it was running.';
revoke execute on function operators.cancel_bulk_job(uuid, text) from public;

-- The job's row is locked first: one worker at a time, and a cancellation waits for the batch.
create function operators.do_batch(p_job uuid, p_most int) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  job operators.bulk_jobs;
  items operators.bulk_items[];
  item operators.bulk_items;
  states text[];
begin
  select j.* into job from operators.bulk_jobs j where j.id = p_job and j.state = 'running' for update;
  if not found then
    return false;
  end if;
  -- Triggers of the project run in here.
  perform audit.keep_origin();
  if not operators.may_run(job.created_by, job.action) then
    perform operators.cancel_bulk_job(p_job, 'who asked for it may not do it any more');
    return false;
  end if;
  items := array(
    select i from operators.bulk_items i where i.bulk_job_id = p_job and i.state = 'pending' order by i.number limit p_most);
  if job.action in ('suspend', 'activate') then
    states := operators.do_together(job, items);
  end if;
  if states is null then
    foreach item in array items loop
      states := states || operators.do_item(job, item);
    end loop;
  end if;
  states := coalesce(states, '{}');
  return operators.count_batch(p_job, cardinality(array_positions(states, 'done')),
    cardinality(array_positions(states, 'skipped')), cardinality(array_positions(states, 'failed')));
end
$$;
comment on function operators.do_batch(uuid, int) is 'Does the next items of a bulk job; returns whether it goes on.';
revoke execute on function operators.do_batch(uuid, int) from public;

create function operators.prune_bulk_jobs(p_age interval) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  pruned bigint;
begin
  delete from operators.bulk_jobs j where j.id in (
    select o.id from operators.bulk_jobs o where o.ended_at < clock_timestamp() - p_age limit 1);
  get diagnostics pruned = row_count;
  return pruned;
end
$$;
comment on function operators.prune_bulk_jobs(interval) is 'Removes one bulk job that ended longer ago, with its items; returns how many.';
revoke execute on function operators.prune_bulk_jobs(interval) from public;
