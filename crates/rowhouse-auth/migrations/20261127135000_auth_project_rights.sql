-- Code of the project runs with the project's rights also where PostgreSQL, before version 18, would take whoever is
-- current at the end: deferred triggers of its tables run at commit, and the after triggers of tables that refer to users
-- run where the user is deleted. And a search path that such code leaves is taken back before the platform goes on.

create function auth.deferrable_triggers() returns table (trigger_name name, relation regclass, routine regprocedure)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select t.tgname, t.tgrelid::regclass, p.oid::regprocedure
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_proc p on p.oid = t.tgfoid
  where t.tgdeferrable and not t.tgisinternal and not p.prosecdef
    and not pg_catalog.pg_has_role(p.proowner, 'rowhouse_owner', 'member')
$$;
comment on function auth.deferrable_triggers() is
  'Triggers of the project that may run at commit, with the rights of whoever commits; named by rowhouse doctor.';

create function auth.run_deferred() returns void
language plpgsql security definer set search_path = public, extensions, pg_temp as $$
begin
  set constraints all immediate;
end
$$;
comment on function auth.run_deferred() is 'Runs what is deferred to the end of the transaction, as the owner of the project.';

create function auth.end_project_code() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not auth.is_observed() then
    return null;
  end if;
  if exists (select from auth.deferrable_triggers()) then
    perform auth.run_deferred();
  end if;
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
  perform auth.take_back_search_path();
  return is_deleted;
end
$$;
comment on function auth.delete_user(uuid) is
  'Deletes a user and all that refers to the user; false if there is none. Triggers of the project''s tables run with its rights.';

-- Names in the functions mean what they mean in the data API.
create or replace function auth.confine_triggers() returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  found record;
  confined int := 0;
begin
  for found in select distinct u.routine from auth.unconfined_triggers() u where u.routine is not null loop
    execute format('alter function %s security definer', found.routine);
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

-- Before the functions change hands: rowhouse_owner inherits from rowhouse_project.
grant create on schema auth to rowhouse_project;
alter function auth.run_deferred() owner to rowhouse_project;
alter function auth.delete_as_project(uuid) owner to rowhouse_project;
revoke create on schema auth from rowhouse_project;
