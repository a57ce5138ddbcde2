-- Triggers of the project on auth.users run in the platform's transactions, and a security invoker function has the
-- rights of the platform there. They are changed to security definer with the project as owner, and until that has
-- happened, writes to users are refused.

create function auth.unconfined_triggers() returns table (trigger_name name, routine regprocedure)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select t.tgname, p.oid::regprocedure
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_proc p on p.oid = t.tgfoid
  where t.tgrelid = 'auth.users'::regclass and not t.tgisinternal and not p.prosecdef
    and not pg_catalog.pg_has_role(p.proowner, 'rowhouse_owner', 'member')
$$;
comment on function auth.unconfined_triggers() is
  'Triggers of the project on auth.users whose function would run with the platform''s rights.';

create function auth.confine_triggers() returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  found record;
  confined int := 0;
begin
  for found in select distinct u.routine from auth.unconfined_triggers() u loop
    execute format('alter function %s security definer', found.routine);
    confined := confined + 1;
  end loop;
  return confined;
end
$$;
comment on function auth.confine_triggers() is
  'Makes functions of the project''s triggers on auth.users run as their owner; called after project migrations. How many.';

create function auth.refuse_unconfined() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  named text := (select string_agg(format('%I', u.trigger_name), ', ') from auth.unconfined_triggers() u);
begin
  if named is not null then
    raise exception using errcode = 'object_not_in_prerequisite_state',
      message = format('triggers on auth.users would run with the platform''s rights: %s', named),
      hint = 'Make their functions security definer, or run `rowhouse migrate up`, which does it.';
  end if;
  return null;
end
$$;
comment on function auth.refuse_unconfined() is 'Refuses writes to auth.users while a trigger of the project is unconfined.';
-- Triggers fire in the order of their names; this one fires first.
create trigger "!confined" before insert or update or delete on auth.users
  for each statement execute function auth.refuse_unconfined();
