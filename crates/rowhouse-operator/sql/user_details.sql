-- What belongs to a user, a hundred of each at most.
select
  (select coalesce(jsonb_agg(jsonb_build_object('id', o.id, 'name', o.name, 'role', m.role, 'status', o.status)), '[]')
   from (select * from tenancy.organization_members m where m.user_id = $1 order by m.organization_id limit 100) m
   join tenancy.organizations o on o.id = m.organization_id) as organizations,
  (select coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'name', t.name, 'organization_id', t.organization_id,
     'role', m.role, 'status', t.status)), '[]')
   from (select * from tenancy.memberships m where m.user_id = $1 order by m.tenant_id limit 100) m
   join tenancy.tenants t on t.id = m.tenant_id) as tenants,
  (select coalesce(jsonb_agg(distinct i.provider), '[]')
   from (select * from auth.identities i where i.user_id = $1 limit 100) i) as providers,
  (select count(*) from auth.sessions s where s.user_id = $1 and (s.not_after is null or s.not_after > now())) as sessions,
  exists (select from auth.mfa_factors f where f.user_id = $1 and f.status = 'verified') as has_second_factor
