-- Triggers of the project on auth.users run in the platform's transactions, and a security invoker function has the
-- rights of the platform there. They are changed to security definer with the project as owner, and until that has
-- happened, writes to users are refused. The check fires before all of them, includes functions in their WHEN conditions,
-- and stores the transaction's origin for the audit log before project code can change it.

create function auth.unconfined_triggers() returns table (trigger_name name, routine regprocedure)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with projects as (
    select t.oid, t.tgname, t.tgfoid from pg_catalog.pg_trigger t
    where t.tgrelid = 'auth.users'::regclass and not t.tgisinternal
  ), used as (
    select p.tgname, d.refclassid, d.refobjid from projects p
    join pg_catalog.pg_depend d on d.classid = 'pg_trigger'::regclass and d.objid = p.oid
    union select p.tgname, 'pg_proc'::regclass, p.tgfoid from projects p
  )
  select u.tgname, f.oid::regprocedure from used u
  join pg_catalog.pg_proc f on u.refclassid = 'pg_proc'::regclass and f.oid = u.refobjid
  where not f.prosecdef and not pg_catalog.pg_has_role(f.proowner, 'rowhouse_owner', 'member')
  union all
  select u.tgname, null from used u
  left join pg_catalog.pg_operator o on u.refclassid = 'pg_operator'::regclass and o.oid = u.refobjid
  left join pg_catalog.pg_type y on u.refclassid = 'pg_type'::regclass and y.oid = u.refobjid
  where not pg_catalog.pg_has_role(coalesce(o.oprowner, y.typowner), 'rowhouse_owner', 'member')
$$;
comment on function auth.unconfined_triggers() is
  'Triggers of the project on auth.users that would run something with the platform''s rights: their function, or what their WHEN condition calls. Routine is null for an operator or a type, which cannot be made to run as its owner.';

-- Names in the functions mean what they mean in the data API.
create function auth.confine_triggers() returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  found record;
  confined int := 0;
begin
  for found in select distinct u.routine from auth.unconfined_triggers() u where u.routine is not null loop
    execute format('alter function %s security definer', found.routine);
    -- It has the owner's rights from now on; a function that policies call stays executable, since readers call it.
    if not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_policy'::regclass
        and d.refclassid = 'pg_proc'::regclass and d.refobjid = found.routine) then
      execute format('revoke execute on function %s from public, anon, authenticated', found.routine);
    end if;
    confined := confined + 1;
  end loop;
  for found in
    select distinct p.oid::regprocedure as routine
    from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid
    where t.tgrelid = 'auth.users'::regclass and not t.tgisinternal
      and not pg_catalog.pg_has_role(p.proowner, 'rowhouse_owner', 'member')
      and not exists (select from unnest(p.proconfig) as c (setting) where c.setting like 'search\_path=%')
  loop
    execute format('alter function %s set search_path = public, extensions, pg_temp', found.routine);
  end loop;
  return confined;
end
$$;
comment on function auth.confine_triggers() is
  'Makes functions of the project''s triggers on auth.users run as their owner; called after project migrations. How many.';

create function auth.is_observed() returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from pg_catalog.pg_trigger t
    left join pg_catalog.pg_proc p on not t.tgisinternal and p.oid = t.tgfoid
    left join pg_catalog.pg_class c on t.tgisinternal and c.oid = t.tgconstrrelid
    where t.tgrelid = 'auth.users'::regclass
      and not pg_catalog.pg_has_role(coalesce(p.proowner, c.relowner), 'rowhouse_owner', 'member'))
$$;
comment on function auth.is_observed() is
  'Whether code of the project may run when auth.users is written: its triggers, or tables of its that refer to users.';

create function auth.refuse_unconfined() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  named text := (select string_agg(distinct format('%I', u.trigger_name), ', ') from auth.unconfined_triggers() u);
begin
  if named is not null then
    raise exception using errcode = 'object_not_in_prerequisite_state',
      message = format('triggers on auth.users would run with the platform''s rights: %s', named),
      hint = 'Make their functions security definer, or run `rowhouse migrate up`, which does it; WHEN conditions may not use operators or types of the project.';
  end if;
  if auth.is_observed() then
    perform audit.keep_origin();
  end if;
  return null;
end
$$;
comment on function auth.refuse_unconfined() is 'Refuses writes to auth.users while a trigger of the project is unconfined.';

-- Triggers fire in the order of their names. No name sorts before the single character U+0001.
create trigger U&"\0001" before insert or update or delete on auth.users
  for each statement execute function auth.refuse_unconfined();
