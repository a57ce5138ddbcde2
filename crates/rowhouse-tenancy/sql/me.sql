-- What a launcher shows of the user $1 in the session $3, $2 of each list at most. Counts are of active members.
with own as materialized (
  -- where an operator acts as the user in one tenant, nothing else is shown
  select t.id as tenant_id, t.organization_id
  from auth.sessions s join tenancy.tenants t on t.id = s.only_tenant_id where s.id = $3
), places as materialized (
  select t.id, t.organization_id, t.name, t.slug, t.status, t.branding, m.role, m.created_at as since
  from tenancy.memberships m
  join tenancy.tenants t on t.id = m.tenant_id
  join tenancy.organizations o on o.id = t.organization_id
  where m.user_id = $1 and m.is_active and t.is_open and o.is_open
    and coalesce(t.id = (select own.tenant_id from own), true)
), roles as materialized (
  select o.id as organization_id, m.role
  from tenancy.organization_members m join tenancy.organizations o on o.id = m.organization_id
  where m.user_id = $1 and m.status = 'active' and o.is_open
    and coalesce(o.id = (select own.organization_id from own), true)
  union
  select p.organization_id, p.role from places p
)
select jsonb_build_object(
  'user', (
    select jsonb_build_object('id', u.id, 'email', u.email, 'full_name', p.full_name)
    from auth.users u left join tenancy.user_profiles p on p.user_id = u.id where u.id = $1),
  'operator_role', tenancy.operator_role($1),
  'organizations', (
    select coalesce(jsonb_agg(to_jsonb(mine) order by mine.name, mine.id), '[]') from (
      select o.id, o.name, o.slug, o.status, o.is_personal, m.role, tenancy.permissions_of(o.id, m.role) as permissions,
        (select count(*) from tenancy.organization_members c
         where c.organization_id = o.id and c.status = 'active') as member_count
      from tenancy.organization_members m join tenancy.organizations o on o.id = m.organization_id
      where m.user_id = $1 and m.status = 'active' and o.is_open
        and coalesce(o.id = (select own.organization_id from own), true)
      order by m.created_at, o.id limit $2) mine),
  'tenants', (
    select coalesce(jsonb_agg(to_jsonb(mine) order by mine.name, mine.id), '[]') from (
      select p.id, p.organization_id, p.name, p.slug, p.status, p.branding, p.role,
        (select count(*) from tenancy.memberships c where c.tenant_id = p.id and c.is_active) as member_count,
        (select count(distinct a.product_id) from tenancy.tenant_products a where a.tenant_id = p.id) as product_count
      from places p
      order by p.since, p.id limit $2) mine),
  'products', (
    select coalesce(jsonb_agg(to_jsonb(mine) order by mine.name, mine.product, mine.tenant_id), '[]') from (
      select r.tenant_id, p.slug as product, p.name, p.description, p.icon_url, p.launcher_url, r.role,
        array(select a.environment from tenancy.tenant_products a
          where a.tenant_id = r.tenant_id and a.product_id = p.id order by 1) as environments,
        to_jsonb(r.expires_at at time zone 'UTC') #>> '{}' || 'Z' as expires_at,
        -- the use of what all members have is not this user's
        case when r.user_id is not null then to_jsonb(r.last_used_at at time zone 'UTC') #>> '{}' || 'Z' end as last_used_at
      from tenancy.products_of($1, (select own.tenant_id from own), null) r join tenancy.products p on p.id = r.product_id
      order by p.name, p.slug, r.tenant_id limit $2) mine),
  'sessions', (
    select coalesce(jsonb_agg(to_jsonb(mine) - 'at' order by mine.at desc, mine.id), '[]') from (
      select s.id, coalesce(s.aal, 'aal1') as aal, s.tenant_id, s.oauth_client_id, s.user_agent, host(s.ip) as ip,
        s.id is not distinct from $3 as is_current, coalesce(s.refreshed_at, s.created_at, now()) as at,
        to_jsonb(coalesce(s.created_at, now()) at time zone 'UTC') #>> '{}' || 'Z' as created_at,
        to_jsonb(coalesce(s.refreshed_at, s.created_at, now()) at time zone 'UTC') #>> '{}' || 'Z' as last_used_at
      from auth.sessions s
      where s.user_id = $1 and (s.not_after is null or s.not_after > now()) and s.impersonation_id is null
        -- an operator who acts as the user sees none
        and not exists (select from auth.sessions own where own.id = $3 and own.impersonation_id is not null)
      order by at desc, s.id limit $2) mine),
  'admin_actions', (
    select coalesce(jsonb_agg(mine.name order by mine.name), '[]') from (
      -- built-in roles are the same everywhere
      select unnest(tenancy.permissions_of(role.organization_id, role.name)) as name from (
        select distinct case when r.role not in ('owner', 'admin', 'manager', 'member') then r.organization_id end
          as organization_id, r.role as name
        from roles r) role
      union
      select p.name from tenancy.permissions p
      where (select tenancy.operator_role($1)) is not null and tenancy.operator_may($1, p.name)) mine
    where mine.name not like '%:view' and mine.name <> 'identity:read'),
  'notifications', (
    select coalesce(jsonb_agg(to_jsonb(mine) - 'at' order by mine.at desc), '[]') from (
      (select e.action as kind, e.organization_id, e.tenant_id, e.details, e.occurred_at as at,
        to_jsonb(e.occurred_at at time zone 'UTC') #>> '{}' || 'Z' as occurred_at
      from audit.entries e
      where e.target_kind = 'user' and e.target_id = $1::text and e.occurred_at > now() - interval '7 days'
        and e.source = 'tenancy' and e.actor <> $1::text and not exists (select from own)
      order by e.occurred_at desc limit $2)
      union all
      (select 'invitation', i.organization_id, null, jsonb_build_object('invitation_id', i.id, 'organization_name', o.name,
          'role', i.role, 'expires_at', to_jsonb(i.expires_at at time zone 'UTC') #>> '{}' || 'Z'),
        i.sent_at, to_jsonb(i.sent_at at time zone 'UTC') #>> '{}' || 'Z'
      from auth.users u
      join tenancy.invitations i on i.email = lower(u.email)
      join tenancy.organizations o on o.id = i.organization_id and o.is_open
      where u.id = $1 and u.email_confirmed_at is not null and i.sent_at > now() - interval '7 days'
        and tenancy.status_of(i) = 'pending' and tenancy.inviter_may(i) and not exists (select from own)
      order by i.sent_at desc limit $2)) mine))
