-- Counts are of active members.
select jsonb_build_object(
  'user', (
    select jsonb_build_object('id', u.id, 'email', u.email, 'full_name', p.full_name)
    from auth.users u left join tenancy.user_profiles p on p.user_id = u.id where u.id = $1),
  'operator_role', tenancy.operator_role($1),
  'organizations', (
    select coalesce(jsonb_agg(to_jsonb(mine) order by mine.name, mine.id), '[]') from (
      select o.id, o.name, o.slug, o.status, o.is_personal, m.role, tenancy.permissions_of(o.id, m.role) as permissions
      from tenancy.organization_members m join tenancy.organizations o on o.id = m.organization_id
      where m.user_id = $1 and m.status = 'active' and o.is_open
      order by m.created_at, o.id limit $2) mine),
  'tenants', (
    select coalesce(jsonb_agg(to_jsonb(mine) order by mine.name, mine.id), '[]') from (
      select t.id, t.organization_id, t.name, t.slug, t.status, t.branding, m.role,
        (select count(*) from tenancy.memberships c where c.tenant_id = t.id and c.is_active) as member_count
      from tenancy.memberships m
      join tenancy.tenants t on t.id = m.tenant_id
      join tenancy.organizations o on o.id = t.organization_id
      where m.user_id = $1 and m.is_active and t.is_open and o.is_open
      order by m.created_at, t.id limit $2) mine))
