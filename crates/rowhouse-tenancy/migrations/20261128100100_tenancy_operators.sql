-- Operators stand outside the tree: people who run the installation.
create table tenancy.operators (
  user_id uuid not null references auth.users (id) on delete cascade,
  role text not null check (role in ('super_admin', 'support', 'auditor')),
  expires_at timestamptz,
  granted_by text not null default coalesce(nullif(current_setting('rowhouse.actor', true), ''), 'sql:' || session_user)
    check (length(granted_by) between 1 and 255),
  reason text not null check (char_length(reason) between 1 and 500),
  created_at timestamptz not null default now(),
  constraint operators_pkey primary key (user_id)
);
comment on table tenancy.operators is 'people who run the installation, beside the tree of organizations';
comment on column tenancy.operators.user_id is 'the user in auth.users';
comment on column tenancy.operators.role is 'super_admin, support or auditor';
comment on column tenancy.operators.expires_at is 'until when; null means without end';
comment on column tenancy.operators.granted_by is 'who made them one, as in the audit log';
comment on column tenancy.operators.reason is 'why';
comment on column tenancy.operators.created_at is 'since when';
alter table tenancy.operators enable row level security;
alter table tenancy.operators force row level security;
create policy owner_all on tenancy.operators to rowhouse_owner using (true) with check (true);

create function tenancy.operator_role(p_user uuid) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select o.role from tenancy.operators o join auth.users u on u.id = o.user_id
  where o.user_id = p_user and (o.expires_at is null or o.expires_at > now())
    and u.deleted_at is null and (u.banned_until is null or u.banned_until <= now())
$$;
comment on function tenancy.operator_role(uuid) is
  'The role of an operator at this moment; null for everybody else, and for one who is banned or deleted.';

-- In every organization and tenant, also in closed ones. An unknown permission is refused even to a super_admin.
create function tenancy.operator_may(p_user uuid, p_permission text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(exists (select from tenancy.permissions p where p.name = p_permission)
    and case tenancy.operator_role(p_user)
      when 'super_admin' then true
      when 'support' then p_permission like '%:view' or p_permission = 'identity:read'
      when 'auditor' then p_permission like '%:view' or p_permission = 'identity:audit'
    end, false)
$$;
comment on function tenancy.operator_may(uuid, text) is 'Whether a user has a permission everywhere, as an operator.';
revoke execute on function tenancy.operator_role(uuid), tenancy.operator_may(uuid, text) from public;
