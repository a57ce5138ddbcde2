//! `tenancy.products_of`, `auth.product_role` in a policy and the authorization server's question decide as this model does, for
//! entitlements, memberships and statuses made at random.

use proptest::option::weighted;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rowhouse_testkit::TestDatabase;
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

const WORLDS: usize = 80;
const ROLES: [&str; 7] = ["OWNER", "ADMIN", "EDITOR", "VIEWER", "ANALYST", "CONTRIBUTOR", "MEMBER"];
const SLUGS: [&str; 2] = ["crm", "erp"];
const USER: Uuid = Uuid::from_u128(0x10);
const ORGANIZATION: Uuid = Uuid::from_u128(0x20);
const TENANT: Uuid = Uuid::from_u128(0x30);
/// Of the first product.
const APPLICATION: Uuid = Uuid::from_u128(0x40);

/// A role, and whether it has not expired.
type Given = Option<(usize, bool)>;

#[derive(Debug, Clone)]
struct Product {
    is_active: bool,
    is_enabled: bool,
    own: Given,
    common: Given,
}

#[derive(Debug, Clone)]
struct World {
    is_organization_open: bool,
    is_tenant_open: bool,
    /// Whether it is active, if there is one.
    membership: Option<bool>,
    products: [Product; 2],
}

fn worlds() -> impl Strategy<Value = World> {
    let mostly = || prop::bool::weighted(0.85);
    let given = || weighted(0.6, (0..ROLES.len(), prop::bool::weighted(0.7)));
    let product = move || {
        (mostly(), mostly(), given(), given()).prop_map(|(is_active, is_enabled, own, common)| Product {
            is_active,
            is_enabled,
            own,
            common,
        })
    };
    (mostly(), mostly(), weighted(0.9, mostly()), [product(), product()]).prop_map(
        |(is_organization_open, is_tenant_open, membership, products)| World {
            is_organization_open,
            is_tenant_open,
            membership,
            products,
        },
    )
}

impl World {
    fn role(&self, product: usize) -> Option<&'static str> {
        let Product { is_active, is_enabled, own, common } = self.products[product];
        let is_member = self.membership == Some(true) && self.is_tenant_open && self.is_organization_open;
        let live = |given: Given| given.filter(|(_, is_live)| *is_live).map(|(role, _)| ROLES[role]);
        live(own).or_else(|| live(common)).filter(|_| is_member && is_active && is_enabled)
    }

    /// As SQL. Only members have entitlements of their own, and only of what is enabled when they get it.
    fn sql(&self) -> String {
        let mut sql = "delete from tenancy.entitlements; delete from tenancy.tenant_products;
            insert into tenancy.tenant_products (tenant_id, product_id, environment)
            select '$TENANT', id, 'staging' from tenancy.products;
            delete from tenancy.memberships where tenant_id = '$TENANT';"
            .to_owned();
        if let Some(is_active) = self.membership {
            let status = if is_active { "active" } else { "suspended" };
            sql += &format!(
                "insert into tenancy.memberships (tenant_id, user_id, status) values ('$TENANT', '$USER', '{status}');"
            );
        }
        for (slug, product) in SLUGS.iter().zip(&self.products) {
            let own = product.own.filter(|_| self.membership.is_some());
            for (given, user) in [(own, "'$USER'"), (product.common, "null")] {
                let Some((role, is_live)) = given else { continue };
                let end = if is_live { "now() + interval '1 hour'" } else { "now()" };
                sql += &format!(
                    "insert into tenancy.entitlements (tenant_id, product_id, user_id, role, expires_at)
                     select '$TENANT', id, {user}, '{}', {end} from tenancy.products where slug = '{slug}';",
                    ROLES[role]
                );
            }
            let status = if product.is_active { "active" } else { "retired" };
            sql += &format!("update tenancy.products set status = '{status}' where slug = '{slug}';");
            if !product.is_enabled {
                sql += &format!(
                    "delete from tenancy.tenant_products where product_id = (select id from tenancy.products where slug = '{slug}');"
                );
            }
        }
        for (table, is_open) in
            [("organizations", self.is_organization_open), ("tenants", self.is_tenant_open)]
        {
            let status = if is_open { "trial" } else { "cancelled" };
            sql +=
                &format!("update tenancy.{table} set status = '{status}' where id in ('$ORG', '$TENANT');");
        }
        filled(&sql)
    }
}

fn filled(sql: &str) -> String {
    [("$USER", USER), ("$ORG", ORGANIZATION), ("$TENANT", TENANT), ("$APPLICATION", APPLICATION)]
        .iter()
        .fold(sql.to_owned(), |sql, (name, id)| sql.replace(name, &id.to_string()))
}

/// A user with nothing but this organization, and a table whose policy shows the roles that one has.
async fn prepare(db: &TestDatabase, client: &Client) {
    let sql = "insert into auth.users (id, email) values ('$USER', 'ann@example.com');
        insert into tenancy.organizations (id, name, slug) values ('$ORG', 'o', 'o');
        insert into tenancy.tenants (id, organization_id, name, slug) values ('$TENANT', '$ORG', 't', 't');
        insert into auth.oauth_clients (id, registration_type, redirect_uris, grant_types, token_endpoint_auth_method)
        values ('$APPLICATION', 'manual', 'https://a.example', 'authorization_code', 'none');
        insert into tenancy.products (slug, name, oauth_client_id) values ('crm', 'CRM', '$APPLICATION'), ('erp', 'ERP', null)";
    client.batch_execute(&filled(sql)).await.unwrap();
    db.migrate(
        "create table public.probes (slug text, role text);
         insert into public.probes select s, r from unnest(array['crm', 'erp']) s,
           unnest(array['OWNER', 'ADMIN', 'EDITOR', 'VIEWER', 'ANALYST', 'CONTRIBUTOR', 'MEMBER']) r;
         alter table public.probes enable row level security;
         create policy probe on public.probes for select to authenticated
           using (auth.product_role(slug) = role and auth.has_entitlement(slug, role));
         grant select on public.probes to authenticated",
    )
    .await;
}

type Roles = Vec<(String, String)>;

async fn rows(client: &Client, sql: &str) -> Roles {
    let rows = client.query(&filled(sql), &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// What the policy shows.
async fn shown(client: &Client) -> Roles {
    let claims = json!({ "sub": USER, "tenant_id": TENANT }).to_string();
    let begin = format!(
        "begin; set local role authenticated; select set_config('request.jwt.claims', '{claims}', true)"
    );
    client.batch_execute(&begin).await.unwrap();
    let shown = rows(client, "select slug, role from public.probes order by 1").await;
    client.batch_execute("rollback").await.unwrap();
    shown
}

#[tokio::test]
async fn database_policies_and_the_authorization_server_decide_as_the_model() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    prepare(&db, &client).await;
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut entitled, mut denied) = (0, 0);
    for _ in 0..WORLDS {
        let world = worlds().new_tree(&mut runner).unwrap().current();
        client.batch_execute(&world.sql()).await.unwrap();
        let roles =
            (0..SLUGS.len()).filter_map(|at| Some((SLUGS[at].to_owned(), world.role(at)?.to_owned())));
        let expected: Roles = roles.collect();
        let all = "select p.slug, r.role from tenancy.products_of('$USER', null, null) r
            join tenancy.products p on p.id = r.product_id order by 1";
        assert_eq!(rows(&client, all).await, expected, "products_of for {world:#?}");
        let one = "select p.slug, r.role from tenancy.products p,
            tenancy.product_role('$USER', '$TENANT', p.slug) r (role) where r.role is not null order by 1";
        assert_eq!(rows(&client, one).await, expected, "product_role for {world:#?}");
        assert_eq!(shown(&client).await, expected, "the policy for {world:#?}");
        let enter = filled(
            "select auth.enter_application('$USER', '$APPLICATION'), auth.enter_application('$USER', '$USER')",
        );
        let row = client.query_one(&enter, &[]).await.unwrap();
        let may: (bool, bool) = (row.get(0), row.get(1));
        assert_eq!(may, (world.role(0).is_some(), true), "enter_application for {world:#?}");
        entitled += expected.len();
        denied += SLUGS.len() - expected.len();
    }
    assert!(entitled > 30 && denied > 30, "both happen: {entitled} and {denied}");
}
