//! Roles and grants: on a managed server without a superuser, and for a second database of the same server.

use rowhouse_db::{
    BootstrapError, DataPlaneUrls, Database, DatabaseUrls, DbSettings, DefaultGrants, LoginError, Logins,
    NotPrepared, Sharing, adopt, bootstrap, migrate, require_prepared, require_sign_in, set_passwords,
};
use rowhouse_kernel::Secret;
use rowhouse_testkit::{Cluster, platform_migrations};
use tokio_postgres::{Client, NoTls};

use crate::support::service;

const OPERATIONS: &str = include_str!("../../../../docs/operations.md");

/// The statements under a heading of docs/operations.md.
fn documented(heading: &str) -> &'static str {
    let section = OPERATIONS.split(heading).nth(1).unwrap();
    section.split("```sql\n").nth(1).unwrap().split("```").next().unwrap()
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn urls(cluster: &Cluster, database: &str) -> DataPlaneUrls {
    let url = |user| Secret::new(cluster.url(user, database));
    DataPlaneUrls { authenticator: url("authenticator"), service: url("authenticator_service") }
}

fn logins(cluster: &Cluster, database: &str) -> Logins {
    Logins::new(None, &urls(cluster, database)).unwrap()
}

/// A server whose administrator may create roles and databases only.
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
    assert!(
        bootstrap(&client, &logins(cluster, database), Sharing::Refuse).await.unwrap(),
        "{database} needs its grants"
    );
    migrate::apply_platform(&client, &platform_migrations()).await.unwrap();
    rowhouse_db::apply_default_grants(&client, DefaultGrants::None).await.unwrap();
    let files = [migrate::Migration::new(
        "20260101000000_notes.sql",
        "create table public.notes (n int); select tenancy.protect('public.notes'); grant all on public.notes to authenticated",
    )];
    migrate::apply_project(&client, &files).await.unwrap();
    assert!(
        !bootstrap(&client, &logins(cluster, database), Sharing::Refuse).await.unwrap(),
        "{database} is complete"
    );
    client
}

#[tokio::test]
async fn administrator_without_superuser_prepares_every_database_and_service_sees_all_rows() {
    let cluster = managed(&["one", "two"]).await;
    prepare(&cluster, "one").await;
    // The roles exist; this database's grants do not.
    let client = prepare(&cluster, "two").await;
    let tenant = "insert into tenancy.organizations (name, slug) values ('o', 'o') returning id";
    let organization: uuid::Uuid = client.query_one(tenant, &[]).await.unwrap().get(0);
    let tenant =
        "insert into tenancy.tenants (organization_id, name, slug) values ($1, 't', 't') returning id";
    let tenant: uuid::Uuid = client.query_one(tenant, &[&organization]).await.unwrap().get(0);
    client.execute("insert into public.notes (n, tenant_id) values (1, $1)", &[&tenant]).await.unwrap();
    let admin = Secret::new(cluster.url("admin", "two"));
    let urls = DatabaseUrls { control: admin.clone(), direct: admin, data: urls(&cluster, "two") };
    let (database, _monitor) = Database::open_monitored(&urls, &DbSettings::default(), true).unwrap();
    let query =
        rowhouse_db::flight::Query { sql: "select count(*)::text from public.notes".into(), params: vec![] };
    let caller = service();
    let rows = database.data.fly(&crate::support::context(&caller), &query).await.unwrap();
    assert_eq!(rows[0][0].as_deref(), Some(&b"1"[..]));
}

#[tokio::test]
async fn passwords_of_existing_logins_change_by_command_only() {
    let cluster = managed(&["one", "two"]).await;
    prepare(&cluster, "one").await;
    let other = Secret::new("another password");
    let first = urls(&cluster, "one");
    let second = urls(&cluster, "two");
    let mistaken = DataPlaneUrls {
        authenticator: rowhouse_db::url::with_login(&second.authenticator, "authenticator", &other).unwrap(),
        service: second.service.clone(),
    };
    let client = connect(&cluster.url("admin", "two")).await;
    let refused = bootstrap(&client, &Logins::new(None, &mistaken).unwrap(), Sharing::Refuse).await;
    assert!(
        matches!(&refused, Err(BootstrapError::Login(LoginError::Password(name, _))) if name == "authenticator"),
        "{refused:?}"
    );
    require_sign_in(&first).await.unwrap();
    set_passwords(&client, &mistaken).await.unwrap();
    require_sign_in(&first).await.unwrap_err();
    assert!(bootstrap(&client, &Logins::new(None, &mistaken).unwrap(), Sharing::Refuse).await.unwrap());
    require_sign_in(&mistaken).await.unwrap();
}

#[tokio::test]
async fn a_database_may_have_logins_of_its_own() {
    let cluster = managed(&["one", "two"]).await;
    prepare(&cluster, "one").await;
    let own = Secret::new("own password");
    let second = urls(&cluster, "two");
    let named = |name| rowhouse_db::url::with_login(&second.authenticator, name, &own).unwrap();
    let data = DataPlaneUrls { authenticator: named("two_users"), service: named("two \"service\"") };
    let client = connect(&cluster.url("admin", "two")).await;
    let logins = Logins::new(None, &data).unwrap();
    assert!(bootstrap(&client, &logins, Sharing::Refuse).await.unwrap());
    require_sign_in(&data).await.unwrap();
    require_sign_in(&urls(&cluster, "one")).await.unwrap();
    assert!(!bootstrap(&client, &logins, Sharing::Refuse).await.unwrap());
    let may = "select pg_has_role('two_users', 'authenticated', 'member') and pg_has_role('two \"service\"', 'service_role', 'member')
        and not has_database_privilege('authenticator', current_database(), 'connect')";
    assert!(client.query_one(may, &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn revoked_privileges_of_others_are_listed_and_need_consent() {
    let cluster = managed(&["one"]).await;
    let client = connect(&cluster.url("admin", "one")).await;
    client.batch_execute("create table public.customers (id int)").await.unwrap();
    let logins = logins(&cluster, "one");
    let Err(BootstrapError::Shared(shared)) = bootstrap(&client, &logins, Sharing::Refuse).await else {
        panic!("taken without a word")
    };
    assert_eq!((shared.objects, shared.owners), (1, vec!["admin".to_owned()]));
    assert_eq!(shared.revoked, ["CONNECT on database one", "USAGE and CREATE on schema public"]);
    let untouched = "select not exists (select from pg_roles where rolname = 'authenticator')";
    assert!(client.query_one(untouched, &[]).await.unwrap().get::<_, bool>(0));
    assert!(bootstrap(&client, &logins, Sharing::Accept).await.unwrap());
}

#[tokio::test]
async fn adopted_tables_can_be_migrated_and_their_former_owner_keeps_access() {
    let cluster = managed(&["one"]).await;
    let client = connect(&cluster.url("admin", "one")).await;
    client
        .batch_execute(
            "create extension if not exists citext schema public;
             create type public.mood as enum ('good'); create domain public.word as text;
             create table public.customers (id serial primary key, mood public.mood);
             create view public.happy as select * from public.customers;
             create function public.answer() returns int language sql as 'select 42'",
        )
        .await
        .unwrap();
    assert!(bootstrap(&client, &logins(&cluster, "one"), Sharing::Accept).await.unwrap());
    migrate::apply_platform(&client, &platform_migrations()).await.unwrap();
    let files =
        [migrate::Migration::new("20260101000000_a.sql", "alter table public.customers add note text")];
    migrate::apply_project(&client, &files).await.unwrap_err();
    let schemas = ["public".to_owned()];
    let planned = adopt(&client, &schemas, true).await.unwrap();
    let objects: Vec<&str> = planned.iter().map(|adopted| adopted.object.as_str()).collect();
    assert_eq!(
        objects,
        [
            "table public.customers",
            "view public.happy",
            "routine public.answer()",
            "type public.mood",
            "domain public.word"
        ]
    );
    assert_eq!(adopt(&client, &schemas, false).await.unwrap(), planned);
    assert_eq!(adopt(&client, &schemas, true).await.unwrap(), []);
    migrate::apply_project(&client, &files).await.unwrap();
    client.batch_execute("insert into public.customers (mood, note) values ('good', 'x')").await.unwrap();
}

#[tokio::test]
async fn login_of_the_first_database_is_told_what_another_one_needs_and_goes_on_after_it() {
    let cluster = managed(&["one", "app_two", "\"Shop 3\""]).await;
    prepare(&cluster, "one").await;
    let admin = connect(&cluster.url("admin", "one")).await;
    admin.batch_execute("alter role rowhouse password 'test'").await.unwrap();
    let client = connect(&cluster.url("rowhouse", "one")).await;
    require_prepared(&client).await.unwrap();

    let client = connect(&cluster.url("rowhouse", "app_two")).await;
    let data = logins(&cluster, "app_two");
    let Err(BootstrapError::Unprepared(found)) = bootstrap(&client, &data, Sharing::Refuse).await else {
        panic!("rowhouse may prepare a database of admin's")
    };
    assert_eq!((found.database.as_str(), found.login.as_str()), ("app_two", "rowhouse"));
    let wanted: String = found.statements.iter().map(|statement| format!("{statement};\n")).collect();
    assert_eq!(documented("### Several databases on one server"), wanted);
    assert!(found.to_string().ends_with(wanted.trim_end()), "{found}");
    assert!(matches!(require_prepared(&client).await, Err(NotPrepared::Unprepared(same)) if same == found));
    let admin = connect(&cluster.url("admin", "app_two")).await;
    let untouched = "select to_regnamespace('extensions') is null";
    assert!(admin.query_one(untouched, &[]).await.unwrap().get::<_, bool>(0));

    admin.batch_execute(documented("### Several databases on one server")).await.unwrap();
    require_prepared(&client).await.unwrap();
    assert!(bootstrap(&client, &data, Sharing::Refuse).await.unwrap(), "what rowhouse itself may do is left");
    assert!(!bootstrap(&client, &data, Sharing::Refuse).await.unwrap());
    migrate::apply_platform(&client, &platform_migrations()).await.unwrap();
    let probe = "set role rowhouse_owner; create function rowhouse.probe() returns int language sql as 'select 1'; reset role";
    client.batch_execute(probe).await.unwrap();
    let is_open = "select has_function_privilege('anon', 'rowhouse.probe()', 'execute')";
    assert!(
        !client.query_one(is_open, &[]).await.unwrap().get::<_, bool>(0),
        "functions of the platform are closed"
    );

    let other = connect(&cluster.url("rowhouse", "Shop%203")).await;
    let refused = bootstrap(&other, &logins(&cluster, "Shop%203"), Sharing::Refuse).await.unwrap_err();
    let quoted = "grant create on database \"Shop 3\" to rowhouse_owner, rowhouse_project;";
    assert!(refused.to_string().contains(quoted), "{refused}");
}

#[tokio::test]
async fn server_that_was_never_prepared_is_named_as_such() {
    let cluster = managed(&["one"]).await;
    let client = connect(&cluster.url("admin", "one")).await;
    assert!(matches!(require_prepared(&client).await, Err(NotPrepared::NoRoles)));
}
