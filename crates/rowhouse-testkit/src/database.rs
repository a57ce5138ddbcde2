//! A database per test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rowhouse_db::migrate::{Migration, apply_platform, read_project};
use rowhouse_db::{DataPlaneUrls, DatabaseUrls, Logins, Sharing, bootstrap};
use rowhouse_kernel::Secret;
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

use crate::cluster::{Cluster, PASSWORD};

/// A fresh database with the platform schema.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    /// Its name.
    pub name: String,
    /// URLs of the program's logins.
    pub urls: DatabaseUrls,
    superuser: String,
}

impl TestDatabase {
    /// Clones one with the whole platform on the shared server.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn create() -> Self {
        Self::create_with(platform_migrations()).await
    }

    /// Clones one on the shared server. All of a process have the same `migrations`: the first caller's make the template.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn create_with(migrations: Vec<Migration>) -> Self {
        static TEMPLATE: OnceCell<()> = OnceCell::const_new();
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // Several test threads may ask at once; the server start blocks.
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.expect("the server starts");
        TEMPLATE.get_or_init(|| make_template(cluster, migrations)).await;
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = connect(&cluster.url("postgres", "postgres")).await;
        admin
            .batch_execute(&format!("create database {name} template template_rowhouse"))
            .await
            .expect("a clone");
        Self::on(cluster, &name)
    }

    /// Prepares the database `postgres` of a server of its own, with the whole platform.
    ///
    /// # Panics
    /// If it cannot be prepared.
    pub async fn on_own_cluster(cluster: &Cluster) -> Self {
        Self::on_own_cluster_with(cluster, platform_migrations()).await
    }

    /// The same with other migrations.
    ///
    /// # Panics
    /// If it cannot be prepared.
    pub async fn on_own_cluster_with(cluster: &Cluster, migrations: Vec<Migration>) -> Self {
        prepare(cluster, "postgres", migrations).await;
        Self::on(cluster, "postgres")
    }

    fn on(cluster: &Cluster, name: &str) -> Self {
        let url = |user| Secret::new(cluster.url(user, name));
        let data =
            DataPlaneUrls { authenticator: url("authenticator"), service: url("authenticator_service") };
        Self {
            name: name.to_owned(),
            urls: DatabaseUrls { control: url("rowhouse"), direct: url("rowhouse"), data },
            superuser: cluster.url("postgres", name),
        }
    }

    /// A superuser's connection, for setup and for checking what is stored.
    ///
    /// # Panics
    /// If it cannot be opened.
    pub async fn superuser(&self) -> Client {
        connect(&self.superuser).await
    }

    /// Runs statements as the project's owner, as a migration would.
    ///
    /// # Panics
    /// If one fails.
    pub async fn migrate(&self, sql: &str) {
        let client = connect(self.urls.control.expose()).await;
        client.batch_execute("set role rowhouse_project").await.expect("the project's role");
        client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?}\nin {sql}"));
    }
}

/// The platform's migrations in their order, found in the crates' folders: a test may need a schema whose crate its own
/// may not depend on.
///
/// # Panics
/// If a folder cannot be read.
#[must_use]
pub fn platform_migrations() -> Vec<Migration> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crates' folder");
    let folders = std::fs::read_dir(crates).expect("the crates' folder").filter_map(Result::ok);
    let read = |folder: PathBuf| read_project(&folder).unwrap_or_else(|error| panic!("{error}"));
    let mut all: Vec<Migration> = folders.flat_map(|entry| read(entry.path().join("migrations"))).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

async fn make_template(cluster: &Cluster, migrations: Vec<Migration>) {
    let admin = connect(&cluster.url("postgres", "postgres")).await;
    admin.batch_execute("create database template_rowhouse").await.expect("the template");
    prepare(cluster, "template_rowhouse", migrations).await;
}

async fn prepare(cluster: &Cluster, database: &str, migrations: Vec<Migration>) {
    let urls = TestDatabase::on(cluster, database).urls;
    let logins = Logins::new(Some(Secret::new(PASSWORD)), &urls.data).expect("logins");
    let admin = connect(&cluster.url("postgres", database)).await;
    bootstrap(&admin, &logins, Sharing::Accept).await.expect("roles");
    let client = connect(&cluster.url("rowhouse", database)).await;
    apply_platform(&client, &migrations).await.expect("platform migrations");
}

async fn connect(url: &str) -> Client {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.unwrap_or_else(|error| panic!("{error:?}"));
    tokio::spawn(connection);
    client
}
