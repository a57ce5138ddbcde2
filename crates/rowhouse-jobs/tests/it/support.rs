//! Arranging: a database with the platform's schema, and clients in it.

use rowhouse_db::migrate::Migration;
use rowhouse_testkit::TestDatabase;
use tokio_postgres::Client;

/// The platform's migrations, read from the crates' folders: this crate may not depend on those above it.
fn platform_migrations() -> Vec<Migration> {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut all: Vec<Migration> = Vec::new();
    for room in ["rowhouse-db", "rowhouse-auth", "rowhouse-tenancy", "rowhouse-jobs"] {
        all.extend(rowhouse_db::migrate::read_project(&crates.join(room).join("migrations")).unwrap());
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

pub(crate) async fn database() -> TestDatabase {
    let db = TestDatabase::create(platform_migrations()).await;
    let kinds = "insert into jobs.kinds (name) values ('jobs.noop'), ('test.work')";
    db.superuser().await.batch_execute(kinds).await.unwrap();
    db
}

pub(crate) async fn count(client: &Client, table: &str) -> i64 {
    client.query_one(&format!("select count(*) from jobs.{table}"), &[]).await.unwrap().get(0)
}
