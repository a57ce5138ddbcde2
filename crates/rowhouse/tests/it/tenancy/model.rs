//! `tenancy.may`, `auth.has_permission` in a policy and the routes' `require` decide as this model does, for memberships,
//! roles and statuses made at random.

use std::collections::BTreeSet;

use proptest::collection::{btree_set, vec};
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rowhouse_kernel::{Caller, OrganizationId, TenantId, UserId};
use rowhouse_tenancy::permission::{Permission, PermissionError, Scope, require};
use rowhouse_testkit::TestDatabase;
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

const WORLDS: usize = 60;
const USERS: usize = 3;
/// The organization of each tenant.
const TENANTS: [usize; 3] = [0, 0, 1];
const ORGANIZATIONS: usize = 2;
const ROLES: [&str; 5] = ["owner", "admin", "manager", "member", "clerk"];
const STATUSES: [&str; 5] = ["trial", "active", "suspended", "cancelled", "deleted"];
/// What the built-in role manager may do beside seeing.
const MANAGER: [&str; 8] = [
    "members:invite",
    "members:manage",
    "tenant:create",
    "tenant:update",
    "tenant:members",
    "tenant:apps",
    "identity:read",
    "identity:audit",
];

/// A membership: the role and whether it is active.
type Membership = Option<(usize, bool)>;

#[derive(Debug, Clone)]
struct World {
    organizations: Vec<usize>,
    tenants: Vec<usize>,
    /// By organization, then user.
    members: Vec<Vec<Membership>>,
    /// By tenant, then user.
    memberships: Vec<Vec<Membership>>,
    /// What the role clerk may do in each organization.
    clerks: Vec<BTreeSet<usize>>,
}

fn worlds() -> impl Strategy<Value = World> {
    let status = prop_oneof![2 => 0..2_usize, 1 => 2..STATUSES.len()];
    let membership = weighted(0.7, (0..ROLES.len(), prop::bool::weighted(0.8)));
    let users = vec(membership, USERS);
    (
        vec(status.clone(), ORGANIZATIONS),
        vec(status, TENANTS.len()),
        vec(users.clone(), ORGANIZATIONS),
        vec(users, TENANTS.len()),
        vec(btree_set(0..Permission::ALL.len(), 0..8), ORGANIZATIONS),
    )
        .prop_map(|(organizations, tenants, members, memberships, clerks)| {
            World { organizations, tenants, members, memberships, clerks }.with_members_of_tenants()
        })
}

impl World {
    /// A tenant's member is one of the organization.
    fn with_members_of_tenants(mut self) -> Self {
        for (tenant, users) in self.memberships.iter().enumerate() {
            for user in (0..USERS).filter(|user| users[*user].is_some()) {
                self.members[TENANTS[tenant]][user].get_or_insert((3, true));
            }
        }
        self
    }

    fn has(&self, organization: usize, role: usize, permission: Permission) -> bool {
        let name = permission.as_str();
        match ROLES[role] {
            "owner" => true,
            "admin" => name != "organization:delete",
            "manager" => name.ends_with(":view") || MANAGER.contains(&name),
            "member" => name.ends_with(":view") || name == "identity:read",
            _ => self.clerks[organization].iter().any(|own| Permission::ALL[*own] == permission),
        }
    }

    fn may(&self, user: usize, place: Place, permission: Permission) -> bool {
        let organization = place.organization();
        let is_open = |status: usize| status < 2;
        let Some((role, true)) = self.members[organization][user] else { return false };
        if !is_open(self.organizations[organization]) {
            return false;
        }
        let above = self.has(organization, role, permission);
        match place {
            Place::Organization(_) => above,
            Place::Tenant(tenant) => {
                let inside = matches!(self.memberships[tenant][user],
                    Some((role, true)) if self.has(organization, role, permission));
                is_open(self.tenants[tenant]) && (inside || (above && ROLES[role] != "member"))
            }
        }
    }

    /// As SQL.
    fn sql(&self) -> String {
        let mut sql = "delete from tenancy.organization_members where organization_id in (select id from tenancy.organizations
            where not is_personal); delete from tenancy.role_permissions where role = 'clerk';".to_owned();
        for (organization, status) in self.organizations.iter().enumerate() {
            let id = Place::Organization(organization).id();
            sql += &format!(
                "update tenancy.organizations set status = '{}' where id = '{id}';",
                STATUSES[*status]
            );
            for own in &self.clerks[organization] {
                let name = Permission::ALL[*own].as_str();
                sql += &format!("insert into tenancy.role_permissions values ('{id}', 'clerk', '{name}');");
            }
            sql += &inserted("organization_members", id, &self.members[organization]);
        }
        for (tenant, status) in self.tenants.iter().enumerate() {
            let id = Place::Tenant(tenant).id();
            sql += &format!("update tenancy.tenants set status = '{}' where id = '{id}';", STATUSES[*status]);
            sql += &inserted("memberships", id, &self.memberships[tenant]);
        }
        sql
    }
}

fn inserted(table: &str, id: Uuid, users: &[Membership]) -> String {
    let column = if table == "memberships" { "tenant_id" } else { "organization_id" };
    let rows = users.iter().enumerate().filter_map(|(user, membership)| Some((user, (*membership)?)));
    rows.map(|(user, (role, is_active))| {
        let (role, status) = (ROLES[role], if is_active { "active" } else { "suspended" });
        format!(
            "insert into tenancy.{table} ({column}, user_id, role, status) values ('{id}', '{}', '{role}', '{status}');",
            user_id(user)
        )
    })
    .collect()
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Organization(usize),
    Tenant(usize),
}

impl Place {
    fn all() -> impl Iterator<Item = Self> {
        (0..ORGANIZATIONS).map(Self::Organization).chain((0..TENANTS.len()).map(Self::Tenant))
    }

    fn organization(self) -> usize {
        match self {
            Self::Organization(organization) => organization,
            Self::Tenant(tenant) => TENANTS[tenant],
        }
    }

    fn id(self) -> Uuid {
        match self {
            Self::Organization(number) => Uuid::from_u128(0x100 + number as u128),
            Self::Tenant(number) => Uuid::from_u128(0x200 + number as u128),
        }
    }

    fn scope(self) -> Scope {
        match self {
            Self::Organization(_) => Scope::Organization(OrganizationId(self.id())),
            Self::Tenant(_) => Scope::Tenant(TenantId(self.id())),
        }
    }
}

fn user_id(number: usize) -> Uuid {
    Uuid::from_u128(0x300 + number as u128)
}

/// Two organizations with their tenants, users, and a table whose policy shows the permissions that one has.
async fn prepare(db: &TestDatabase, client: &Client) {
    for user in 0..USERS {
        let sql = "insert into auth.users (id, email) values ($1, $2)";
        client.execute(sql, &[&user_id(user), &format!("u{user}@example.com")]).await.unwrap();
    }
    for organization in 0..ORGANIZATIONS {
        let id = Place::Organization(organization).id();
        let sql = format!(
            "insert into tenancy.organizations (id, name, slug) values ('{id}', 'o', 'o{organization}');
             insert into tenancy.roles (organization_id, name) values ('{id}', 'clerk')"
        );
        client.batch_execute(&sql).await.unwrap();
    }
    for (tenant, organization) in TENANTS.iter().enumerate() {
        let (id, above) = (Place::Tenant(tenant).id(), Place::Organization(*organization).id());
        let sql = format!(
            "insert into tenancy.tenants (id, organization_id, name, slug) values ('{id}', '{above}', 't', 't{tenant}')"
        );
        client.batch_execute(&sql).await.unwrap();
    }
    db.migrate(
        "create table public.probes as select name from tenancy.permissions;
         alter table public.probes enable row level security;
         create policy probe on public.probes for select to authenticated using (auth.has_permission(name));
         grant select on public.probes to authenticated",
    )
    .await;
}

/// What the policy shows to a user in a tenant.
async fn shown(client: &Client, user: usize, tenant: Uuid) -> BTreeSet<String> {
    let claims = json!({ "sub": user_id(user), "tenant_id": tenant }).to_string();
    let begin = format!(
        "begin; set local role authenticated; select set_config('request.jwt.claims', '{claims}', true)"
    );
    client.batch_execute(&begin).await.unwrap();
    let rows = client.query("select name from public.probes", &[]).await.unwrap();
    client.batch_execute("rollback").await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn database_policies_and_routes_decide_as_the_model() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    prepare(&db, &client).await;
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut granted, mut denied) = (0, 0);
    for number in 0..WORLDS {
        let world = worlds().new_tree(&mut runner).unwrap().current();
        client.batch_execute(&world.sql()).await.unwrap();
        for user in 0..USERS {
            for place in Place::all() {
                let expected: BTreeSet<String> = Permission::ALL
                    .iter()
                    .filter(|permission| world.may(user, place, **permission))
                    .map(|permission| permission.as_str().to_owned())
                    .collect();
                let story = || format!("user {user} in {place:?} of {world:#?}");
                assert_eq!(asked(&client, user, place).await, expected, "tenancy.may for {}", story());
                if let Place::Tenant(_) = place {
                    let shown = shown(&client, user, place.id()).await;
                    assert_eq!(shown, expected, "the policy for {}", story());
                }
                let permission = Permission::ALL[number % Permission::ALL.len()];
                let may = required(&client, user, place, permission).await;
                assert_eq!(
                    may,
                    expected.contains(permission.as_str()),
                    "require {permission:?} for {}",
                    story()
                );
                granted += expected.len();
                denied += Permission::ALL.len() - expected.len();
            }
        }
    }
    assert!(granted > 1_000 && denied > 1_000, "both happen: {granted} and {denied}");
}

/// What `tenancy.may` grants.
async fn asked(client: &Client, user: usize, place: Place) -> BTreeSet<String> {
    let (organization, tenant) = match place {
        Place::Organization(_) => (Some(place.id()), None),
        Place::Tenant(_) => (None, Some(place.id())),
    };
    let sql = "select name from tenancy.permissions where tenancy.may($1, $2, $3, name)";
    let rows = client.query(sql, &[&user_id(user), &organization, &tenant]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn required(client: &Client, user: usize, place: Place, permission: Permission) -> bool {
    let caller =
        Caller { role: "authenticated".into(), user: Some(UserId(user_id(user))), ..Caller::anonymous() };
    match require(client, &caller, place.scope(), permission).await {
        Ok(()) => true,
        Err(PermissionError::Denied(_) | PermissionError::OperatorsOnly) => false,
        Err(PermissionError::Db(error)) => panic!("{error}"),
    }
}
