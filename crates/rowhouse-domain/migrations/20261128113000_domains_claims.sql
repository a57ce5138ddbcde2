-- Domains: who names one, and whether it is proved.
create schema domains;
comment on schema domains is 'Domains of tenants and organizations; who has proved to own them.';
grant usage on schema domains to service_role, rowhouse_project;

create table domains.claims (
  id uuid not null,
  organization_id uuid not null references tenancy.organizations (id) on delete cascade,
  tenant_id uuid references tenancy.tenants (id) on delete cascade,
  name text not null
    check (name ~ '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' and length(name) <= 253),
  proof text not null check (proof in ('dns_txt', 'dns_cname', 'http', 'mail')),
  challenge text not null check (challenge ~ '^[0-9a-f]{32}$'),
  status text not null default 'pending' check (status in ('pending', 'verified', 'failed', 'released')),
  claimed_by text not null default coalesce(nullif(current_setting('rowhouse.actor', true), ''), 'sql:' || session_user)
    check (length(claimed_by) between 1 and 255),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  verified_at timestamptz,
  confirmed_at timestamptz,
  checked_at timestamptz,
  next_check_at timestamptz,
  failures int not null default 0,
  failing_since timestamptz,
  unanswered_since timestamptz,
  last_error text check (char_length(last_error) <= 500),
  released_at timestamptz,
  code_digest text check (length(code_digest) = 64),
  code_attempts int not null default 0,
  letters timestamptz[] not null default '{}' check (cardinality(letters) <= 100),
  asked_by text check (length(asked_by) between 1 and 255),
  constraint claims_pkey primary key (id)
);
create unique index claims_tenant_id_name_key on domains.claims (tenant_id, name)
  where tenant_id is not null and status <> 'released';
create unique index claims_organization_id_name_key on domains.claims (organization_id, name)
  where tenant_id is null and status <> 'released';
-- one owner at a time: domains.confirm decides, these hold whoever writes
create unique index claims_name_of_tenant_key on domains.claims (name) where status = 'verified' and tenant_id is not null;
create unique index claims_name_of_organization_key on domains.claims (name) where status = 'verified' and tenant_id is null;
create index claims_tenant_id_id_idx on domains.claims (tenant_id, id) where tenant_id is not null;
create index claims_organization_id_id_idx on domains.claims (organization_id, id);
create index claims_asked_by_idx on domains.claims (asked_by) where asked_by is not null;
create index claims_name_idx on domains.claims (name);
create index claims_next_check_at_idx on domains.claims (next_check_at) where status = 'verified';
create index claims_updated_at_idx on domains.claims (updated_at) where status in ('pending', 'released');
comment on table domains.claims is 'domains that tenants and organizations have named';
comment on column domains.claims.id is 'key';
comment on column domains.claims.organization_id is 'the organization, or the tenant''s';
comment on column domains.claims.tenant_id is 'the tenant; null for a domain by which people join the organization';
comment on column domains.claims.name is 'in lower case; internationalized ones as xn--…';
comment on column domains.claims.proof is 'how it is proved: dns_txt, dns_cname, http or mail';
comment on column domains.claims.challenge is 'what has to be published, 128 random bits';
comment on column domains.claims.status is 'pending; verified; failed: not proved in time, or the proof has gone; released: given up, or its tenant was deleted';
comment on column domains.claims.claimed_by is 'who named it, as in the audit log';
comment on column domains.claims.created_at is 'when it was named';
comment on column domains.claims.updated_at is 'last change of status or proof';
comment on column domains.claims.verified_at is 'since when it is verified';
comment on column domains.claims.confirmed_at is 'when the proof was seen last';
comment on column domains.claims.checked_at is 'when it was looked for last';
comment on column domains.claims.next_check_at is 'when it will be looked for again; null if it will not be';
comment on column domains.claims.failures is 'checks in a row that found no proof';
comment on column domains.claims.failing_since is 'the first of these';
comment on column domains.claims.unanswered_since is 'since when nobody answers the question';
comment on column domains.claims.last_error is 'what the last check has found instead of the proof';
comment on column domains.claims.released_at is 'when it was given up';
comment on column domains.claims.code_digest is 'SHA-256 of the code in the newest letter to the postmaster';
comment on column domains.claims.code_attempts is 'codes tried since that letter';
comment on column domains.claims.letters is 'when letters went to the postmaster';
comment on column domains.claims.asked_by is 'who has asked for the newest letter, as in the audit log';
alter table domains.claims enable row level security;
alter table domains.claims force row level security;
create policy owner_all on domains.claims to rowhouse_owner using (true) with check (true);
select tenancy.show_to_project('domains.claims', array['id', 'organization_id', 'tenant_id', 'name', 'proof', 'status', 'claimed_by',
  'created_at', 'updated_at', 'verified_at', 'confirmed_at', 'checked_at', 'next_check_at', 'failures', 'failing_since',
  'unanswered_since', 'last_error', 'released_at']);

create function domains.owner_of(host text) returns uuid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select c.tenant_id
  from domains.claims c
  join tenancy.tenants t on t.id = c.tenant_id and t.is_open
  join tenancy.organizations o on o.id = c.organization_id and o.is_open
  where c.name = rtrim(lower(host), '.') and c.status = 'verified' and c.tenant_id is not null
$$;
comment on function domains.owner_of(text) is
  'The open tenant that has verified exactly this name; null if none has. Internationalized names as xn--….';
revoke execute on function domains.owner_of(text) from public;
grant execute on function domains.owner_of(text) to service_role, rowhouse_project;
