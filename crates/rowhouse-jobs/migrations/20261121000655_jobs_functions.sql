-- Jobs that call functions of the project: kind jobs.sql, payload {"function": "public.bump", "args": {"by": 2}}.
--
-- A job of a tenant calls as `authenticated` with that tenant in its claims, so that row-level security confines it to the
-- tenant. Any other calls as `rowhouse_project` by a `security definer` function, inside which PostgreSQL forbids to change
-- the role. Both sign in as `authenticator`, which has no rights of its own: a trigger may defer itself anew for as long as it
-- likes, and before PostgreSQL 18 runs as the login when the transaction ends. Cursors are closed before either commits, and
-- the session is emptied before it is used again.

create table jobs.allowed_functions (
  schema_name text not null,
  function_name text not null,
  -- as pg_get_function_identity_arguments writes them; a function that is dropped and recreated stays allowed
  arguments text not null,
  allowed_at timestamptz not null default now(),
  constraint allowed_functions_pkey primary key (schema_name, function_name, arguments)
);
alter table jobs.allowed_functions enable row level security;
alter table jobs.allowed_functions force row level security;
create policy owner_all on jobs.allowed_functions to rowhouse_owner using (true) with check (true);

-- The function that `name` means: 'public.bump', or of several of one name 'public.bump(int)'.
create function jobs.find_function(name text) returns oid
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  parts text[];
  found_ids oid[];
begin
  if strpos(name, '(') > 0 then
    found_ids := array_remove(array[to_regprocedure(name)::oid], null);
  else
    parts := parse_ident(name);
    found_ids := array(
      select p.oid from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where n.nspname = parts[1] and p.proname = parts[2] and cardinality(parts) = 2);
  end if;
  if cardinality(found_ids) = 0 then
    raise exception using errcode = 'undefined_function', message = format('there is no function %s', name),
      hint = 'Write it with its schema, such as public.bump.';
  elsif cardinality(found_ids) > 1 then
    raise exception using errcode = 'ambiguous_function', message = format('there are several functions %s', name),
      hint = 'Name one: ' || (select string_agg(f::regprocedure::text, ', ' order by f) from unnest(found_ids) f);
  end if;
  return found_ids[1];
end
$$;

-- The arguments that a function takes: name, type, and whether it may be left out.
create function jobs.arguments_of(function_id oid) returns table (name text, type oid, is_optional boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(i.name, ''), i.type, i.place > i.inputs - i.defaults
  from (
    select a.name, a.type, p.pronargdefaults as defaults, row_number() over (order by a.place) as place, count(*) over () as inputs
    from pg_catalog.pg_proc p
    cross join lateral unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames, p.proargmodes)
      with ordinality as a (type, name, mode, place)
    where p.oid = function_id and coalesce(a.mode, 'i') in ('i', 'b', 'v') and a.type is not null) i
  order by i.place
$$;

-- Allows jobs of the kind jobs.sql to call a function of the project.
create function jobs.allow_function(function text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  found_id constant oid := jobs.find_function(function);
  called pg_catalog.pg_proc;
begin
  select * into called from pg_catalog.pg_proc p where p.oid = found_id;
  if called.prokind <> 'f' or called.prorettype in ('trigger'::regtype, 'event_trigger'::regtype) then
    raise exception using errcode = 'wrong_object_type', message = format('%s is not a plain function', found_id::regprocedure);
  elsif called.provariadic <> 0
    or exists (select from jobs.arguments_of(found_id) a join pg_catalog.pg_type t on t.oid = a.type
      where a.name = '' or t.typtype = 'p') then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('%s cannot be called by name', found_id::regprocedure),
      hint = 'Each of its arguments needs a name and a type of its own, and none may be variadic.';
  end if;
  insert into jobs.allowed_functions (schema_name, function_name, arguments)
  select n.nspname, called.proname, pg_get_function_identity_arguments(found_id)
  from pg_catalog.pg_namespace n where n.oid = called.pronamespace
  on conflict do nothing;
end
$$;

-- Withdraws that; false if it was not allowed. Also for dropped functions, by name.
create function jobs.disallow_function(function text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  parts constant text[] := parse_ident(split_part(function, '(', 1));
  wanted constant oid := case when strpos(function, '(') > 0 then to_regprocedure(function)::oid end;
begin
  delete from jobs.allowed_functions a
  where a.schema_name = parts[1] and a.function_name = parts[2]
    and (strpos(function, '(') = 0 or a.arguments = pg_get_function_identity_arguments(wanted));
  return found;
end
$$;

-- The statement that calls an allowed function; its one parameter holds the arguments, and it returns jsonb. Of several of
-- one name it is the one that takes these arguments. `scheduled_at`, which schedules add, is left out where a function has
-- no such argument.
create function jobs.call_statement(function text, args jsonb) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  parts constant text[] := parse_ident(split_part(function, '(', 1));
  given constant text[] := array(select jsonb_object_keys(args));
  known int;
  fitting oid[];
  called pg_catalog.pg_proc;
  qualified text;
begin
  with allowed as (
    select p.oid from jobs.allowed_functions a
    join pg_catalog.pg_namespace n on n.nspname = a.schema_name
    join pg_catalog.pg_proc p on p.pronamespace = n.oid and p.proname = a.function_name and p.prokind = 'f'
      and pg_get_function_identity_arguments(p.oid) = a.arguments
    where a.schema_name = parts[1] and a.function_name = parts[2] and cardinality(parts) = 2
      and (strpos(function, '(') = 0 or p.oid = to_regprocedure(function))
  )
  select count(*), coalesce(array_agg(a.oid) filter (where
    array_remove(given, 'scheduled_at') <@ array(select x.name from jobs.arguments_of(a.oid) x)
    and given @> array(select x.name from jobs.arguments_of(a.oid) x where not x.is_optional)), '{}')
  into known, fitting from allowed a;
  if known = 0 and exists (
    select from jobs.allowed_functions a where a.schema_name = parts[1] and a.function_name = parts[2]) then
    raise exception using errcode = 'undefined_function',
      message = format('the function %s does not exist any more', function);
  elsif known = 0 then
    raise exception using errcode = 'insufficient_privilege',
      message = format('jobs may not call the function %s', function),
      hint = format('select jobs.allow_function(%L)', function);
  elsif cardinality(fitting) = 0 then
    raise exception using errcode = 'undefined_function',
      message = format('%s does not take these arguments: %s', function, coalesce(nullif(array_to_string(given, ', '), ''), 'none'));
  elsif cardinality(fitting) > 1 then
    raise exception using errcode = 'ambiguous_function',
      message = format('several functions %s take these arguments', function);
  end if;
  select * into called from pg_catalog.pg_proc p where p.oid = fitting[1];
  select format('%I.%I', n.nspname, called.proname) into qualified
  from pg_catalog.pg_namespace n where n.oid = called.pronamespace;
  return (
    select format('select %s from %s%s(%s) as called',
      case when called.proretset then 'jsonb_agg(to_jsonb(called))'
        when called.prorettype = 'void'::regtype then 'nullif(to_jsonb(called), ''""'')'
        else 'to_jsonb(called)' end,
      'jsonb_to_record($1) as args (' || string_agg(format('%I %s', x.name, format_type(x.type, null)), ', ') || '), lateral ',
      qualified, string_agg(format('%1$I => args.%1$I', x.name), ', '))
    from jobs.arguments_of(called.oid) x where x.name = any (given));
end
$$;

-- The claims of a tenant's job; a hook.
create function jobs.claims_of(of_tenant uuid) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object('role', 'authenticated', 'tenant_id', of_tenant)
$$;

-- Whether a running job with these numbers calls functions, and (unless null) for the project or for a tenant. Who knows
-- worker and lease, which are random numbers, is the worker: the login can read neither, and they travel as parameters,
-- which no view shows.
create function jobs.is_call(by_worker uuid, of_lease bigint, job_id bigint, for_project boolean) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from jobs.leases l cross join unnest(l.jobs) j
    join jobs.partitions p on p.id = j.partition join jobs.kinds k on k.name = p.kind
    where l.id = of_lease and l.worker = by_worker and j.id = job_id and k.handler = 'sql'
      and coalesce((p.tenant is null) = for_project, true))
$$;

-- Calls as the project's owner, for a running job of no tenant. The search path is the project's, in which a caller may have
-- put types of its own. Deferred constraints and triggers are brought forward: at commit they would run as the login.
create function jobs.call_for_project(by_worker uuid, of_lease bigint, job_id bigint, function text, args jsonb) returns jsonb
language plpgsql security definer as $$
declare
  result pg_catalog.jsonb;
begin
  if not jobs.is_call(by_worker, of_lease, job_id, true) then
    raise exception using errcode = 'no_data_found', message = 'another worker has taken the job over';
  end if;
  execute jobs.call_statement(function, args) into result using args;
  set constraints all immediate;
  return result;
end
$$;

-- Completes a job in the transaction of the function that it called; null if it has been taken over. Jobs that call no
-- functions cannot be completed like this.
create function jobs.complete_call(by_worker uuid, of_lease bigint, job_id bigint, result jsonb) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp as $$
  select job_id = any (jobs.complete(by_worker, jsonb_build_array(
    jsonb_build_object('lease', of_lease, 'id', job_id, 'state', 'done', 'result', result))))
  where jobs.is_call(by_worker, of_lease, job_id, null)
$$;

-- The data plane's login, whatever its name.
do $$
declare
  login name;
begin
  for login in
    select l.rolname from pg_catalog.pg_auth_members m join pg_catalog.pg_roles l on l.oid = m.member
    where m.roleid = 'authenticated'::regrole and l.rolcanlogin and not l.rolsuper
  loop
    execute format('grant usage on schema jobs to %I', login);
    execute format('grant execute on function jobs.call_statement(text, jsonb), '
      'jobs.call_for_project(uuid, bigint, bigint, text, jsonb), jobs.complete_call(uuid, bigint, bigint, jsonb) to %I', login);
  end loop;
end
$$;
grant execute on function jobs.allow_function(text), jobs.disallow_function(text) to rowhouse_project;
grant execute on function jobs.call_statement(text, jsonb) to authenticated, rowhouse_project;
grant execute on function jobs.is_call(uuid, bigint, bigint, boolean) to rowhouse_project;
-- Before the function changes hands: rowhouse_owner inherits from rowhouse_project.
grant execute on function jobs.call_for_project(uuid, bigint, bigint, text, jsonb) to rowhouse_project;
grant create on schema jobs to rowhouse_project;
alter function jobs.call_for_project(uuid, bigint, bigint, text, jsonb) owner to rowhouse_project;
revoke create on schema jobs from rowhouse_project;
