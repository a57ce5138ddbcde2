-- Hooks: functions of the project that decide about sign-ups, passwords and tokens. They run as their owner, the project,
-- in a transaction of their own, and leave nothing behind that would run at its commit.

create function auth.hook_routine(named text) returns regprocedure
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  routine constant regprocedure := to_regprocedure(named || '(jsonb)');
begin
  if routine is null then
    raise exception using errcode = 'undefined_function',
      message = format('there is no function %s(event jsonb) returns jsonb; create it in a migration of the project', named);
  end if;
  return routine;
end
$$;
comment on function auth.hook_routine(text) is 'The function of a hook, by its name with schema.';

create function auth.hook_mistake(named text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  schema_name constant name := (parse_ident(named))[1];
  routine record;
begin
  -- From the catalog: a lookup by name fails where the schema may not be used.
  select p.oid, p.pronamespace, p.prosecdef into routine
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname = schema_name and p.proname = (parse_ident(named))[2]
    and p.pronargs = 1 and p.proargtypes[0] = 'jsonb'::regtype;
  return case
    when routine.oid is null then
      format('there is no function %s(event jsonb) returns jsonb; create it in a migration of the project', named)
    when not has_schema_privilege(routine.pronamespace, 'usage') then
      format('%1$I may not use the schema of %2$s; run: grant usage on schema %3$I to %1$I', current_user, named, schema_name)
    when not has_function_privilege(routine.oid, 'execute') then
      format('%1$I may not call %2$s; run: grant execute on function %2$s(jsonb) to %1$I', current_user, named)
    when not routine.prosecdef then
      format('%s would run with the platform''s rights; make it security definer, or run `rowhouse migrate up`, which does it', named)
  end;
end
$$;
comment on function auth.hook_mistake(text) is 'Why the function of a hook cannot be called, with the remedy; null if it can.';

create function auth.confine_hook(named text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  routine constant regprocedure := auth.hook_routine(named);
begin
  if not pg_has_role((select p.proowner from pg_proc p where p.oid = routine), 'usage') then
    raise exception using errcode = 'insufficient_privilege',
      message = format('%I may not change the hook''s function %s; run: alter function %2$s owner to rowhouse_project', current_user, routine);
  end if;
  execute format('alter function %s security definer', routine);
  -- It takes whatever event it is given for true, so that no client may call it.
  execute format('revoke execute on function %s from public, anon, authenticated', routine);
  if not exists (
    select from pg_proc p, unnest(p.proconfig) as c (setting) where p.oid = routine and c.setting like 'search\_path=%') then
    execute format('alter function %s set search_path = public, extensions, pg_temp', routine);
  end if;
end
$$;
comment on function auth.confine_hook(text) is 'Makes the function of a hook run as its owner, closed to clients; called after project migrations.';

create function auth.call_hook(named text, event jsonb) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  mistake constant text := auth.hook_mistake(named);
  answer jsonb;
begin
  if mistake is not null then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = mistake;
  end if;
  execute format('select %s($1)', auth.hook_routine(named)::regproc) into answer using event;
  perform auth.end_what_is_deferred();
  return answer;
end
$$;
comment on function auth.call_hook(text, jsonb) is 'Calls the function of a hook with an event and returns its answer.';
revoke execute on function auth.hook_routine(text), auth.hook_mistake(text), auth.confine_hook(text), auth.call_hook(text, jsonb) from public;
