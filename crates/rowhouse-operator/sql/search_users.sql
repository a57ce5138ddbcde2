select u.id, u.email, u.phone, coalesce(u.raw_user_meta_data ->> 'full_name', u.raw_user_meta_data ->> 'name') as name,
  operators.status_of(u) as status, u.is_anonymous,
  -- a call for each user would take most of the time
  case when exists (select from tenancy.operators o where o.user_id = u.id) then tenancy.operator_role(u.id) end as operator_role,
  s.reason as suspension_reason, s.suspended_by,
  to_jsonb(s.suspended_at at time zone 'UTC') #>> '{}' || 'Z' as suspended_at,
  to_jsonb(u.created_at at time zone 'UTC') #>> '{}' || 'Z' as created_at,
  to_jsonb(u.last_sign_in_at at time zone 'UTC') #>> '{}' || 'Z' as last_sign_in_at
from auth.users u
left join operators.suspensions s on s.user_id = u.id and u.banned_until > now()
