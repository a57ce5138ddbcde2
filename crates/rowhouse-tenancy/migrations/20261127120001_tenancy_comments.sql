-- What each table and column of the schema holds.

comment on table tenancy.organizations is 'customer accounts, which own tenants';
comment on column tenancy.organizations.id is 'key';
comment on column tenancy.organizations.name is 'display name';
comment on column tenancy.organizations.slug is 'name in URLs';
comment on column tenancy.organizations.is_personal is 'created by its owner''s sign-up';
comment on column tenancy.organizations.status is 'trial, active, suspended, cancelled or deleted';
comment on column tenancy.organizations.is_open is 'whether members may work there: trial or active';
comment on column tenancy.organizations.trial_ends_at is 'end of the trial';
comment on column tenancy.organizations.suspended_at is 'since when it is suspended';
comment on column tenancy.organizations.suspension_reason is 'why it is suspended';
comment on column tenancy.organizations.deleted_at is 'when it was deleted; it can be restored for a while';
comment on column tenancy.organizations.deleted_from is 'status before the deletion';
comment on column tenancy.organizations.created_at is 'when it was made';
comment on column tenancy.organizations.updated_at is 'last change';

comment on table tenancy.tenants is 'the unit of isolation: rows of protected tables belong to one';
comment on column tenancy.tenants.id is 'key, the claim tenant_id';
comment on column tenancy.tenants.organization_id is 'customer that owns it';
comment on column tenancy.tenants.name is 'display name';
comment on column tenancy.tenants.slug is 'name in URLs';
comment on column tenancy.tenants.status is 'trial, active, suspended, cancelled, deleted or erased';
comment on column tenancy.tenants.is_open is 'whether members may work there: trial or active';
comment on column tenancy.tenants.plan is 'what it has booked; null means nothing';
comment on column tenancy.tenants.trial_ends_at is 'end of the trial';
comment on column tenancy.tenants.suspended_at is 'since when it is suspended';
comment on column tenancy.tenants.suspension_reason is 'why it is suspended';
comment on column tenancy.tenants.deleted_at is 'when it was deleted; it can be restored for a while';
comment on column tenancy.tenants.deleted_from is 'status before the deletion';
comment on column tenancy.tenants.branding is 'colours, logo and so on; 8 KiB at most';
comment on column tenancy.tenants.created_at is 'when it was made';
comment on column tenancy.tenants.updated_at is 'last change';

comment on table tenancy.plans is 'what tenants can book';
comment on column tenancy.plans.name is 'key';

comment on table tenancy.organization_members is 'members of organizations with their roles';
comment on column tenancy.organization_members.organization_id is 'the organization';
comment on column tenancy.organization_members.user_id is 'the member';
comment on column tenancy.organization_members.role is 'owner, admin and so on, see roles';
comment on column tenancy.organization_members.status is 'active or suspended; a suspension counts in all tenants';
comment on column tenancy.organization_members.created_at is 'since when';
comment on column tenancy.organization_members.updated_at is 'last change';

comment on table tenancy.memberships is 'members of tenants with their roles';
comment on column tenancy.memberships.tenant_id is 'the tenant';
comment on column tenancy.memberships.user_id is 'the member';
comment on column tenancy.memberships.role is 'owner, admin and so on, see roles';
comment on column tenancy.memberships.status is 'active or suspended';
comment on column tenancy.memberships.is_suspended_above is 'suspended in the organization; a trigger keeps it true';
comment on column tenancy.memberships.is_active is 'neither suspended here nor in the organization';
comment on column tenancy.memberships.created_at is 'since when';
comment on column tenancy.memberships.updated_at is 'last change';

comment on table tenancy.user_profiles is 'profile of a user beyond sign-in';
comment on column tenancy.user_profiles.id is 'key';
comment on column tenancy.user_profiles.user_id is 'the user in auth.users';
comment on column tenancy.user_profiles.full_name is 'as the user gave it';
comment on column tenancy.user_profiles.role is 'role on the platform, not in a tenant';
comment on column tenancy.user_profiles.is_active is 'false if the user is deactivated';
comment on column tenancy.user_profiles.last_login is 'last sign-in';
comment on column tenancy.user_profiles.deactivated_at is 'when deactivated';
comment on column tenancy.user_profiles.deactivated_by is 'who deactivated';
comment on column tenancy.user_profiles.deactivation_reason is 'why';
comment on column tenancy.user_profiles.created_at is 'when it was made';
comment on column tenancy.user_profiles.updated_at is 'last change';

comment on table tenancy.permissions is 'what can be permitted';
comment on column tenancy.permissions.name is 'key, as auth.has_permission takes it';

comment on table tenancy.roles is 'roles of members: built in, or an organization''s own';
comment on column tenancy.roles.organization_id is 'the organization; null means built in';
comment on column tenancy.roles.name is 'name, unique in the organization';
comment on column tenancy.roles.description is 'what it is for';
comment on column tenancy.roles.created_at is 'when it was made';
comment on column tenancy.roles.updated_at is 'last change, also of its permissions';

comment on table tenancy.role_permissions is 'permissions of roles';
comment on column tenancy.role_permissions.organization_id is 'the organization; null means a built-in role';
comment on column tenancy.role_permissions.role is 'the role';
comment on column tenancy.role_permissions.permission is 'name as auth.has_permission takes it';

comment on table tenancy.tenant_limits is 'limits of a tenant''s requests, in addition to those of roles';
comment on column tenancy.tenant_limits.tenant_id is 'the tenant';
comment on column tenancy.tenant_limits.statement_timeout is 'longest statement; null means no limit of its own';
comment on column tenancy.tenant_limits.max_rows is 'most rows of an answer';
comment on column tenancy.tenant_limits.max_cost is 'highest estimate of the planner';
comment on column tenancy.tenant_limits.updated_at is 'last change';
