-- A tenant beside $TENANT, and a role of the organization's own that changes tenants and sees members.
insert into tenancy.tenants (organization_id, name, slug) values ('$ORG', 'Neighbour', 'neighbour');
insert into tenancy.roles (organization_id, name) values ('$ORG', 'clerk');
insert into tenancy.role_permissions (organization_id, role, permission)
select '$ORG', 'clerk', unnest(array['tenant:view', 'tenant:update', 'members:view']);
