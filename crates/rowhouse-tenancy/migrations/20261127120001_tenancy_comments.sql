-- What each table and column of the schema holds.

comment on table tenancy.organizations is 'customer accounts, which own tenants';
comment on column tenancy.organizations.id is 'key';
comment on column tenancy.organizations.name is 'display name';
comment on column tenancy.organizations.slug is 'name in URLs';
comment on column tenancy.organizations.is_personal is 'created by its owner''s sign-up';
comment on column tenancy.organizations.status is 'active or suspended';
comment on column tenancy.organizations.created_at is 'when it was made';
comment on column tenancy.organizations.updated_at is 'last change';

comment on table tenancy.tenants is 'the unit of isolation: rows of protected tables belong to one';
comment on column tenancy.tenants.id is 'key, the claim tenant_id';
comment on column tenancy.tenants.organization_id is 'customer that owns it';
comment on column tenancy.tenants.name is 'display name';
comment on column tenancy.tenants.slug is 'name in URLs';
comment on column tenancy.tenants.status is 'active or suspended';
comment on column tenancy.tenants.created_at is 'when it was made';
comment on column tenancy.tenants.updated_at is 'last change';

comment on table tenancy.memberships is 'members of tenants with their roles';
comment on column tenancy.memberships.tenant_id is 'the tenant';
comment on column tenancy.memberships.user_id is 'the member';
comment on column tenancy.memberships.role is 'owner, admin and so on, see role_permissions';
comment on column tenancy.memberships.status is 'active or not';
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

comment on table tenancy.role_permissions is 'permissions of the roles of memberships';
comment on column tenancy.role_permissions.role is 'role of a membership';
comment on column tenancy.role_permissions.permission is 'name as auth.has_permission takes it';

comment on table tenancy.products is 'what a tenant can be entitled to';
comment on column tenancy.products.id is 'key';
comment on column tenancy.products.slug is 'name as auth.has_entitlement takes it';
comment on column tenancy.products.name is 'display name';
comment on column tenancy.products.created_at is 'when it was made';

comment on table tenancy.entitlements is 'which tenant, or which member of it, has which product';
comment on column tenancy.entitlements.id is 'key';
comment on column tenancy.entitlements.tenant_id is 'the tenant';
comment on column tenancy.entitlements.user_id is 'only this member; null means all';
comment on column tenancy.entitlements.product_id is 'the product';
comment on column tenancy.entitlements.roles is 'roles within the product';
comment on column tenancy.entitlements.expires_at is 'until when; null means without end';
comment on column tenancy.entitlements.created_at is 'since when';

comment on table tenancy.tenant_limits is 'limits of a tenant''s requests, in addition to those of roles';
comment on column tenancy.tenant_limits.tenant_id is 'the tenant';
comment on column tenancy.tenant_limits.statement_timeout is 'longest statement; null means no limit of its own';
comment on column tenancy.tenant_limits.max_rows is 'most rows of an answer';
comment on column tenancy.tenant_limits.max_cost is 'highest estimate of the planner';
comment on column tenancy.tenant_limits.updated_at is 'last change';
