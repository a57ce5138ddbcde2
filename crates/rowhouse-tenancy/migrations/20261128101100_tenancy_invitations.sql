-- Invitations: who holds the token of the letter and owns the address becomes a member.
create table tenancy.invitations (
  id uuid not null,
  organization_id uuid not null references tenancy.organizations (id) on delete cascade,
  email text not null check (email = lower(email) and length(email) between 3 and 320),
  role text not null,
  -- [{"tenant_id", "role"}]
  tenants jsonb not null default '[]' check (jsonb_typeof(tenants) = 'array'),
  -- [{"tenant_id", "product", "role"}]
  products jsonb not null default '[]' check (jsonb_typeof(products) = 'array'),
  language text check (length(language) between 2 and 35),
  token_digest text not null check (length(token_digest) = 64),
  token_hint text not null check (length(token_hint) = 4),
  invited_by text not null default coalesce(nullif(current_setting('rowhouse.actor', true), ''), 'sql:' || session_user)
    check (length(invited_by) between 1 and 255),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  sent_times timestamptz[] not null check (cardinality(sent_times) > 0),
  sent_at timestamptz not null generated always as (sent_times[cardinality(sent_times)]) stored,
  resent_count int not null generated always as (cardinality(sent_times) - 1) stored,
  accepted_at timestamptz,
  accepted_by uuid references auth.users (id) on delete set null,
  accepted_address inet,
  revoked_at timestamptz,
  constraint invitations_pkey primary key (id),
  constraint invitations_token_digest_key unique (token_digest),
  constraint invitations_accepted_at_revoked_at_check check (accepted_at is null or revoked_at is null)
);
create unique index invitations_organization_id_email_key on tenancy.invitations (organization_id, email)
  where accepted_at is null and revoked_at is null;
create index invitations_organization_id_id_idx on tenancy.invitations (organization_id, id);
-- for the limits of letters
create index invitations_organization_id_sent_at_idx on tenancy.invitations (organization_id, sent_at);
create index invitations_invited_by_sent_at_idx on tenancy.invitations (invited_by, sent_at);
create index invitations_email_sent_at_idx on tenancy.invitations (email, sent_at);
create index invitations_expires_at_idx on tenancy.invitations (expires_at);
create index invitations_accepted_by_idx on tenancy.invitations (accepted_by) where accepted_by is not null;
comment on table tenancy.invitations is 'invitations to organizations';
comment on column tenancy.invitations.id is 'key';
comment on column tenancy.invitations.organization_id is 'where somebody is invited to';
comment on column tenancy.invitations.email is 'address that is invited, in lower case; only its owner can accept';
comment on column tenancy.invitations.role is 'role in the organization';
comment on column tenancy.invitations.tenants is 'tenants with the role in each';
comment on column tenancy.invitations.products is 'products of these tenants with the role in each';
comment on column tenancy.invitations.language is 'language of the letter; null takes mail.language';
comment on column tenancy.invitations.token_digest is 'SHA-256 of the newest letter''s token';
comment on column tenancy.invitations.token_hint is 'last four characters of that token';
comment on column tenancy.invitations.invited_by is 'who sent the newest letter, as in the audit log';
comment on column tenancy.invitations.created_at is 'when it was made';
comment on column tenancy.invitations.expires_at is 'from when on it cannot be accepted any more';
comment on column tenancy.invitations.sent_times is 'when its letters were sent';
comment on column tenancy.invitations.sent_at is 'when the newest letter was sent';
comment on column tenancy.invitations.resent_count is 'letters after the first one';
comment on column tenancy.invitations.accepted_at is 'when it was accepted';
comment on column tenancy.invitations.accepted_by is 'who accepted it';
comment on column tenancy.invitations.accepted_address is 'from where it was accepted';
comment on column tenancy.invitations.revoked_at is 'when it was taken back, or replaced by another one after its end';
alter table tenancy.invitations enable row level security;
alter table tenancy.invitations force row level security;
create policy owner_all on tenancy.invitations to rowhouse_owner using (true) with check (true);
select tenancy.show_to_project('tenancy.invitations', array['id', 'organization_id', 'email', 'role', 'tenants', 'products', 'language',
  'token_hint', 'invited_by', 'created_at', 'expires_at', 'sent_times', 'sent_at', 'resent_count', 'accepted_at', 'accepted_by',
  'accepted_address', 'revoked_at']);

create function tenancy.status_of(i tenancy.invitations) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when (i).accepted_at is not null then 'accepted' when (i).revoked_at is not null then 'revoked'
    when (i).expires_at <= now() then 'expired' else 'pending' end
$$;
comment on function tenancy.status_of(tenancy.invitations) is 'pending, accepted, revoked or expired.';

-- Whoever was demoted or removed has not left a door open: his invitations count as long as he could still make them.
-- What no user or key has sent (the service key, a command) counts always.
create function tenancy.inviter_may(i tenancy.invitations) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_key uuid := substring((i).invited_by from '^api_key:([0-9a-f-]{36})$');
  v_user uuid := substring((i).invited_by from '^[0-9a-f-]{36}$');
begin
  if v_key is null and v_user is null then
    return true;
  elsif exists (select from auth.users u where u.id = v_user and (u.deleted_at is not null or u.banned_until > now())) then
    return false;
  elsif v_key is null and not (tenancy.may(v_user, (i).organization_id, null, 'members:invite')
      or tenancy.operator_may(v_user, 'members:invite'))
    or v_key is not null and not tenancy.key_may(v_key, (i).organization_id, null, 'members:invite') then
    return false;
  end if;
  return not exists (
    select from (
      select null::uuid as tenant, (i).role as role
      union all
      select t.id, g ->> 'role' from jsonb_array_elements((i).tenants) g
      join tenancy.tenants t on t.id = (g ->> 'tenant_id')::uuid and t.is_open) given
    where case when v_key is null then tenancy.refusal_of_role(v_user, (i).organization_id, given.tenant, given.role)
      else tenancy.refusal_of_role_by_key(v_key, (i).organization_id, given.tenant, given.role) end is not null)
    and not exists (
    select from jsonb_array_elements((i).products) g
    join tenancy.tenants t on t.id = (g ->> 'tenant_id')::uuid and t.is_open
    where case when v_key is null then tenancy.refusal_of_product_role(v_user, t.id, g ->> 'product', g ->> 'role')
      else tenancy.refusal_of_product_role_by_key(v_key, t.id, g ->> 'role') end is not null);
end
$$;
comment on function tenancy.inviter_may(tenancy.invitations) is 'Whether who sent the newest letter may still give what it offers.';
revoke execute on function tenancy.status_of(tenancy.invitations), tenancy.inviter_may(tenancy.invitations) from public;

create function tenancy.prune_invitations(age interval) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  removed bigint;
begin
  delete from tenancy.invitations where id = any (array(
    select i.id from tenancy.invitations i where i.expires_at < clock_timestamp() - age limit 5000));
  get diagnostics removed = row_count;
  return removed;
end
$$;
comment on function tenancy.prune_invitations(interval) is
  'Removes invitations that could be accepted until longer ago than the age, 5000 in one call; returns how many.';
revoke execute on function tenancy.prune_invitations(interval) from public;
