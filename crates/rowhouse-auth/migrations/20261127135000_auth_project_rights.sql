-- Code of the project runs with the project's rights also where PostgreSQL, before version 18, would take whoever is
-- current at the end: deferred triggers of its tables run at commit, and the after triggers of tables that refer to users
-- run where the user is deleted. And a search path that such code leaves is taken back before the platform goes on.

create function auth.deferrable_triggers() returns table (trigger_name name, relation regclass, routine regprocedure)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(k.conname, t.tgname), t.tgrelid::regclass, p.oid::regprocedure
  from pg_trigger t
  join pg_proc p on p.oid = t.tgfoid
  join pg_class c on c.oid = t.tgrelid
  left join pg_constraint k on k.oid = t.tgconstraint
  -- of constraints only unique ones, whose check evaluates the index's expressions; checks of foreign keys run as the owner
  where t.tgdeferrable and (not t.tgisinternal or p.proname = 'unique_key_recheck')
    and not (pg_has_role(p.proowner, 'rowhouse_owner', 'member') and pg_has_role(c.relowner, 'rowhouse_owner', 'member'))
    and c.relkind = 'r' and (c.relpersistence <> 't' or c.relnamespace = pg_my_temp_schema())
$$;
comment on function auth.deferrable_triggers() is
  'Triggers and unique constraints of the project that can be put off to the commit; rowhouse doctor names the triggers.';

create function auth.run_deferred() returns void
language plpgsql security definer set search_path = public, extensions, pg_temp as $$
begin
  set constraints all immediate;
end
$$;
comment on function auth.run_deferred() is 'Runs what is deferred to the end of the transaction, as the owner of the project.';

-- A trigger that runs early can defer others anew, and a definer's function could at commit make another one an invoker's.
-- So none may be left. PostgreSQL tells by refusing to alter a table with pending events; the change itself is none, and
-- taking it back releases its lock. On auth.users itself nothing can be pending: all of its events were there to be run.
create function auth.refuse_deferred() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  found record;
begin
  for found in
    select d.relation, string_agg(quote_ident(d.trigger_name), ', ' order by d.trigger_name) as names
    from auth.deferrable_triggers() d where d.relation <> 'auth.users'::regclass group by d.relation order by d.relation
  loop
    begin
      execute format('alter table only %s set without cluster', found.relation);
      raise exception using errcode = 'RH000';
    exception
      when sqlstate 'RH000' then
        null;
      when object_in_use or insufficient_privilege then
        raise exception using errcode = 'object_not_in_prerequisite_state',
          message = format('a trigger on %s is deferred to the commit and would run with the platform''s rights: %s', found.relation, found.names),
          detail = sqlerrm, hint = 'No function of a trigger may run set constraints … deferred in a transaction of accounts.';
    end;
  end loop;
end
$$;
comment on function auth.refuse_deferred() is 'Refuses to go on while a trigger of the project is put off to the commit.';

-- The query of a cursor WITH HOLD is run to its end at commit.
create function auth.close_held_cursors() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  held text;
begin
  foreach held in array array(select c.name from pg_cursors c where c.is_holdable) loop
    execute format('close %I', held);
  end loop;
end
$$;
comment on function auth.close_held_cursors() is 'Closes cursors that would outlive the transaction.';

create function auth.end_what_is_deferred() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from auth.deferrable_triggers()) then
    perform auth.run_deferred();
    perform auth.refuse_deferred();
  end if;
  perform auth.close_held_cursors();
  perform auth.take_back_search_path();
end
$$;
comment on function auth.end_what_is_deferred() is 'Leaves nothing of the project that would run at commit, with the rights of whoever commits.';

create function auth.end_project_code() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not auth.is_observed() then
    return null;
  elsif tg_op <> 'DELETE' then
    perform auth.end_what_is_deferred();
    return null;
  end if;
  -- Triggers of tables that refer to users come later; auth.delete_user ends what they begin.
  if exists (select from auth.deferrable_triggers()) then
    perform auth.run_deferred();
  end if;
  perform auth.close_held_cursors();
  perform auth.take_back_search_path();
  return null;
end
$$;
comment on function auth.end_project_code() is 'Ends what the project''s code has begun or set in a statement on auth.users.';

create function auth.take_back_search_path() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- The platform's own transactions have this one from their beginning; by hand, everybody has the own.
  if exists (select from audit.origins o where o.transaction_id = pg_current_xact_id()
      and o.began_at = transaction_timestamp() and o.origin ? 'operation') then
    perform set_config('search_path', 'pg_catalog, pg_temp', false);
  end if;
end
$$;
comment on function auth.take_back_search_path() is
  'Sets the search path of the platform''s transactions, for the session: only that overrides what others have set so.';

-- No name sorts behind the greatest one of 63 bytes.
do $$
begin
  execute format('create trigger %I after insert or update or delete on auth.users for each statement execute function auth.end_project_code()',
    repeat(U&'\+10FFFF', 15) || U&'\FFFF');
end
$$;

create table auth.deletions (
  user_id uuid not null,
  transaction_id xid8 not null default pg_current_xact_id(),
  constraint deletions_pkey primary key (user_id)
);
comment on table auth.deletions is 'Users that the running transaction deletes; empty between transactions.';
comment on column auth.deletions.user_id is 'The user.';
comment on column auth.deletions.transaction_id is 'The transaction.';
alter table auth.deletions enable row level security;
alter table auth.deletions force row level security;
create policy owner_all on auth.deletions to rowhouse_owner using (true) with check (true);

-- security_barrier: a function in a query's condition must not see the users that the view hides.
create view auth.users_being_deleted with (security_barrier) as
  select u.id from auth.users u where exists (
    select from auth.deletions d where d.user_id = u.id and d.transaction_id = pg_current_xact_id_if_assigned());
comment on view auth.users_being_deleted is
  'What the owner of the project may delete, so that triggers of its tables run with its rights: users that the platform is deleting.';
comment on column auth.users_being_deleted.id is 'The user.';
grant select, delete on auth.users_being_deleted to rowhouse_project;

create function auth.delete_as_project(of_user uuid) returns boolean
language plpgsql security definer set search_path = public, extensions, pg_temp as $$
declare
  is_deleted boolean;
begin
  delete from auth.users_being_deleted where id = of_user;
  is_deleted := found;
  set constraints all immediate;
  return is_deleted;
end
$$;
comment on function auth.delete_as_project(uuid) is 'Deletes a user of auth.users_being_deleted as the owner of the project.';

create function auth.delete_user(of_user uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  is_deleted boolean;
begin
  insert into auth.deletions (user_id) values (of_user);
  is_deleted := auth.delete_as_project(of_user);
  delete from auth.deletions where user_id = of_user;
  perform auth.end_what_is_deferred();
  return is_deleted;
end
$$;
comment on function auth.delete_user(uuid) is
  'Deletes a user and all that refers to the user; false if there is none. Triggers of the project''s tables run with its rights.';

-- Before the functions change hands: rowhouse_owner inherits from rowhouse_project.
grant create on schema auth to rowhouse_project;
alter function auth.run_deferred() owner to rowhouse_project;
alter function auth.delete_as_project(uuid) owner to rowhouse_project;
revoke create on schema auth from rowhouse_project;
