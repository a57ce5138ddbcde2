//! Roles and grants: on a managed server without a superuser, and for a second database of the same server.

use rowhouse_db::{DataPlaneUrls, Database, DatabaseUrls, LoginPasswords, bootstrap, migrate};
use rowhouse_kernel::Secret;
use rowhouse_kernel::settings::{DbSettings, DefaultGrants};
use rowhouse_testkit::Cluster;
use tokio_postgres::{Client, NoTls};

use crate::support::{platform_migrations, service};

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn passwords() -> LoginPasswords {
    let password = || Secret::new("test");
    LoginPasswords { control: None, authenticator: password(), service: password() }
}

/// A server whose administrator may make roles and databases, and nothing more.
async fn managed(databases: &[&str]) -> Cluster {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let postgres = connect(&cluster.url("postgres", "postgres")).await;
    postgres.batch_execute("create role admin login createrole createdb password 'test'").await.unwrap();
    for database in databases {
        postgres.batch_execute(&format!("create database {database} owner admin")).await.unwrap();
    }
    cluster
}

async fn prepare(cluster: &Cluster, database: &str) -> Client {
    let client = connect(&cluster.url("admin", database)).await;
    assert!(bootstrap(&client, &passwords()).await.unwrap(), "{database} needs its grants");
    migrate::apply_platform(&client, &platform_migrations()).await.unwrap();
    rowhouse_db::apply_default_grants(&client, DefaultGrants::None).await.unwrap();
    let files = [migrate::Migration {
        name: "20260101000000_notes.sql".to_owned(),
        sql: "create table public.notes (n int); select tenancy.protect('public.notes'); grant all on public.notes to authenticated"
            .to_owned(),
    }];
    migrate::apply_project(&client, &files).await.unwrap();
    assert!(!bootstrap(&client, &passwords()).await.unwrap(), "{database} is complete");
    client
}

#[tokio::test]
async fn administrator_without_superuser_prepares_every_database_and_service_sees_all_rows() {
    let cluster = managed(&["one", "two"]).await;
    prepare(&cluster, "one").await;
    // The roles are there already; this database's grants are not.
    let client = prepare(&cluster, "two").await;
    let tenant = "insert into tenancy.organizations (name, slug) values ('o', 'o') returning id";
    let organization: uuid::Uuid = client.query_one(tenant, &[]).await.unwrap().get(0);
    let tenant =
        "insert into tenancy.tenants (organization_id, name, slug) values ($1, 't', 't') returning id";
    let tenant: uuid::Uuid = client.query_one(tenant, &[&organization]).await.unwrap().get(0);
    client.execute("insert into public.notes (n, tenant_id) values (1, $1)", &[&tenant]).await.unwrap();
    let url = |user| Secret::new(cluster.url(user, "two"));
    let data = DataPlaneUrls { authenticator: url("authenticator"), service: url("authenticator_service") };
    let urls = DatabaseUrls { control: url("admin"), data };
    let (database, _monitor) = Database::open(&urls, &DbSettings::default(), true).unwrap();
    let query =
        rowhouse_db::flight::Query { sql: "select count(*)::text from public.notes".into(), params: vec![] };
    let caller = service();
    let rows = database.data.fly(&crate::support::context(&caller), &query).await.unwrap();
    assert_eq!(rows[0][0].as_deref(), Some(&b"1"[..]));
}
