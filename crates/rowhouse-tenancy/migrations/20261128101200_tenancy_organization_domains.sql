-- Domains of organizations. Who has proved to own one lets people with an address there join without an invitation.
create table tenancy.organization_domains (
  organization_id uuid not null references tenancy.organizations (id) on delete cascade,
  domain text not null
    check (domain ~ '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' and length(domain) <= 253),
  verified_at timestamptz,
  auto_join boolean not null default false,
  auto_join_role text not null default 'member' check (auto_join_role <> 'owner'),
  created_at timestamptz not null default now(),
  constraint organization_domains_pkey primary key (organization_id, domain)
);
-- one owner at a time
create unique index organization_domains_domain_key on tenancy.organization_domains (domain) where verified_at is not null;
comment on table tenancy.organization_domains is 'domains of organizations';
comment on column tenancy.organization_domains.organization_id is 'the organization';
comment on column tenancy.organization_domains.domain is 'in lower case; internationalized ones as xn--…';
comment on column tenancy.organization_domains.verified_at is 'when the organization proved to own it; of all that name a domain one has';
comment on column tenancy.organization_domains.auto_join is 'whether users with an address there may join';
comment on column tenancy.organization_domains.auto_join_role is 'role that they get';
comment on column tenancy.organization_domains.created_at is 'since when it is named';
alter table tenancy.organization_domains enable row level security;
alter table tenancy.organization_domains force row level security;
create policy owner_all on tenancy.organization_domains to rowhouse_owner using (true) with check (true);
select tenancy.show_to_project('tenancy.organization_domains');

create function tenancy.joinable_by(p_user uuid)
returns table (organization_id uuid, name text, domain text, role text)
language sql stable rows 1 set search_path = pg_catalog, pg_temp as $$
  select o.id, o.name, d.domain, d.auto_join_role
  from auth.users u
  join tenancy.organization_domains d on d.domain = split_part(lower(u.email::text), '@', 2)
  join tenancy.organizations o on o.id = d.organization_id and o.is_open
  where u.id = p_user and u.deleted_at is null and u.email_confirmed_at is not null and not u.is_sso_user
    and d.verified_at is not null and d.auto_join
    and not exists (
      select from tenancy.organization_members m where m.organization_id = o.id and m.user_id = u.id)
$$;
comment on function tenancy.joinable_by(uuid) is
  'Open organizations that a user can join by the domain of his confirmed address, and in which role.';
revoke execute on function tenancy.joinable_by(uuid) from public;
