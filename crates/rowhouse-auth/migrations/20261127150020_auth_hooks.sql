-- Hooks: functions of the project that decide about sign-ups, passwords and tokens. They run as their owner, the project,
-- in a transaction of their own, and leave nothing behind that would run at its commit.

create function auth.hook_routine(named text) returns regprocedure
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  routine constant regprocedure := to_regprocedure(named || '(jsonb)');
begin
  if routine is null then
    raise exception using errcode = 'undefined_function', message = format('the hook''s function %s(jsonb) does not exist', named),
      hint = 'It takes the event and returns the answer, both as jsonb; a migration of the project creates it.';
  end if;
  return routine;
end
$$;
comment on function auth.hook_routine(text) is 'The function of a hook, by its name with schema.';

create function auth.confine_hook(named text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  routine constant regprocedure := auth.hook_routine(named);
begin
  execute format('alter function %s security definer', routine);
  if not exists (
    select from pg_proc p, unnest(p.proconfig) as c (setting) where p.oid = routine and c.setting like 'search\_path=%') then
    execute format('alter function %s set search_path = public, extensions, pg_temp', routine);
  end if;
end
$$;
comment on function auth.confine_hook(text) is 'Makes the function of a hook run as its owner; called after project migrations.';

create function auth.call_hook(named text, event jsonb) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  routine constant regprocedure := auth.hook_routine(named);
  answer jsonb;
begin
  if not exists (select from pg_proc p where p.oid = routine and p.prosecdef) then
    raise exception using errcode = 'object_not_in_prerequisite_state',
      message = format('the hook''s function %s would run with the platform''s rights', routine),
      hint = 'Make it security definer, or run `rowhouse migrate up`, which does it.';
  end if;
  execute format('select %s($1)', routine::regproc) into answer using event;
  perform auth.end_what_is_deferred();
  return answer;
end
$$;
comment on function auth.call_hook(text, jsonb) is 'Calls the function of a hook with an event and returns its answer.';
revoke execute on function auth.hook_routine(text), auth.confine_hook(text), auth.call_hook(text, jsonb) from public;
