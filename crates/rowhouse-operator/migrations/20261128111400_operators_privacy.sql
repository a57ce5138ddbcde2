-- Privacy: what is stored about a user, as lines of JSON, and erasing a user so that a restored backup does not undo it.
grant usage on schema operators to rowhouse_project;

create table operators.erasures (
  user_id uuid not null,
  requested_by text not null default coalesce(nullif(current_setting('rowhouse.actor', true), ''), 'sql:' || session_user)
    check (length(requested_by) between 1 and 255),
  reason text not null check (char_length(reason) between 1 and 500),
  erased_at timestamptz not null default clock_timestamp(),
  constraint erasures_pkey primary key (user_id)
);
comment on table operators.erasures is 'Users who were erased. Append-only; no references, since it outlives everything.';
comment on column operators.erasures.user_id is 'The user.';
comment on column operators.erasures.requested_by is 'Who erased them, as in the audit log.';
comment on column operators.erasures.reason is 'Why.';
comment on column operators.erasures.erased_at is 'When.';
alter table operators.erasures enable row level security;
alter table operators.erasures force row level security;
-- No policy for updates and deletes.
create policy owner_select on operators.erasures for select to rowhouse_owner using (true);
create policy owner_insert on operators.erasures for insert to rowhouse_owner with check (true);

create function operators.columns_of_users()
returns table (target regclass, full_name text, column_name name, is_cascading boolean, of_project boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select c.oid::regclass, c.oid::regclass::text, a.attname, k.confdeltype = 'c', c.relowner <> 'rowhouse_owner'::regrole
  from pg_constraint k
  join pg_class c on c.oid = k.conrelid
  join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
  where k.contype = 'f' and k.confrelid = 'auth.users'::regclass and cardinality(k.conkey) = 1 and not c.relispartition
  order by c.oid::regclass::text, a.attname
$$;
comment on function operators.columns_of_users() is 'Columns that refer to auth.users, of the platform and of the project.';

create function operators.export_project_rows(p_user uuid) returns setof jsonb
language plpgsql stable security definer set search_path = pg_catalog, public, extensions, pg_temp as $$
declare
  one record;
begin
  for one in select * from operators.columns_of_users() c where c.of_project loop
    return query execute format(
      'select jsonb_build_object(''table'', %L, ''column'', %L, ''row'', to_jsonb(t)) from %s t where t.%I = $1',
      one.full_name, one.column_name, one.target, one.column_name) using p_user;
  end loop;
end
$$;
comment on function operators.export_project_rows(uuid) is 'Rows of the project''s tables that refer to a user, as objects.';

create function operators.export_platform_rows(p_user uuid) returns setof jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  one record;
begin
  return query select jsonb_build_object('table', 'auth.users', 'row', to_jsonb(u) - tenancy.secret_columns('auth.users'))
    from auth.users u where u.id = p_user;
  for one in select * from operators.columns_of_users() c where not c.of_project loop
    return query execute format(
      'select jsonb_build_object(''table'', %L, ''column'', %L, ''row'', to_jsonb(t) - $2) from %s t where t.%I = $1',
      one.full_name, one.column_name, one.target, one.column_name) using p_user, tenancy.secret_columns(one.target);
  end loop;
end
$$;
comment on function operators.export_platform_rows(uuid) is
  'Rows of the platform''s tables that refer to a user, as objects without secrets.';

-- What names the user otherwise: by address, or as text.
create function operators.export_other_rows(p_user uuid, p_email text) returns setof jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query select jsonb_build_object('table', 'tenancy.invitations', 'row', to_jsonb(i) - tenancy.secret_columns('tenancy.invitations'))
    from tenancy.invitations i where i.email = lower(p_email);
  return query select jsonb_build_object('table', 'mail.recipients', 'row', to_jsonb(r) || jsonb_build_object(
      'subject', m.subject, 'sender', m.sender, 'kind', m.kind, 'created_at', m.created_at))
    from mail.recipients r join mail.messages m on m.id = r.message where lower(r.address) = lower(p_email);
  return query select jsonb_build_object('table', 'mail.suppressions', 'row', to_jsonb(s))
    from mail.suppressions s where s.address = lower(p_email);
  return query select jsonb_build_object('table', 'audit.entries', 'row', to_jsonb(e)) from audit.entries e
    where e.actor = p_user::text or (e.target_kind = 'user' and e.target_id = p_user::text);
  return query select jsonb_build_object('table', 'events.outbox', 'row', to_jsonb(o)) from events.outbox o
    where o.actor = p_user::text or o.payload ->> 'user_id' = p_user::text;
  return query select jsonb_build_object('table', 'jobs.' || j.state, 'row', jsonb_build_object('id', (j.job).id,
      'enqueued_at', (j.job).enqueued_at, 'payload', (j.job).payload))
    from (
      select 'ready' as state, r as job from jobs.ready r
      union all select 'scheduled', s.job from jobs.scheduled s
      union all select 'dead', d.job from jobs.dead d) j
    where (j.job).payload ->> 'user_id' = p_user::text;
end
$$;
comment on function operators.export_other_rows(uuid, text) is
  'Rows that name a user by the address or as text: invitations, mails, the audit log, events, jobs.';

create function operators.export_user(p_user uuid) returns setof jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query select * from operators.export_platform_rows(p_user);
  return query select * from operators.export_project_rows(p_user);
  return query select f.* from auth.users u, operators.export_other_rows(u.id, u.email) f where u.id = p_user;
end
$$;
comment on function operators.export_user(uuid) is 'Everything that is stored about a user, as objects with table and row.';
grant create on schema operators to rowhouse_project;
alter function operators.export_project_rows(uuid) owner to rowhouse_project;
revoke create on schema operators from rowhouse_project;
revoke execute on function operators.columns_of_users(), operators.export_project_rows(uuid), operators.export_platform_rows(uuid),
  operators.export_other_rows(uuid, text), operators.export_user(uuid) from public;
grant execute on function operators.columns_of_users() to rowhouse_project;
grant execute on function operators.export_project_rows(uuid) to rowhouse_owner;
