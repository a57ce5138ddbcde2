use std::time::Duration;

use rowhouse_db::Database;
use rowhouse_db::migrate::Migration;
use rowhouse_kernel::settings::DbSettings;
use rowhouse_testkit::{Cluster, TestDatabase};

use super::Readiness;

fn migrations() -> Vec<Migration> {
    Migration::embedded(&[
        rowhouse_audit::MIGRATIONS,
        rowhouse_db::MIGRATIONS,
        rowhouse_auth::MIGRATIONS,
        rowhouse_tenancy::MIGRATIONS,
        rowhouse_jobs::MIGRATIONS,
    ])
}

/// A reason that names `part`, within ten seconds.
async fn turns_unready(readiness: &Readiness, part: &str) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let asked = async {
        while !readiness.check(true).await.is_err_and(|reason| reason.contains(part)) {
            ticks.tick().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), asked).await.is_ok(), "{part}");
}

#[tokio::test]
async fn login_that_is_not_let_in_is_not_ready() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let db = TestDatabase::on_own_cluster(&cluster, migrations()).await;
    let (database, _monitor) = Database::open_monitored(&db.urls, &DbSettings::default(), true).unwrap();
    let readiness = Readiness::new(database);
    assert_eq!(readiness.check(true).await, Ok(()));
    db.superuser()
        .await
        .batch_execute(
            "alter role authenticator_service nologin;
             select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator_service'",
        )
        .await
        .unwrap();
    turns_unready(&readiness, "service_role").await;
    let workers_only = Readiness::new(readiness.database.clone());
    assert_eq!(workers_only.check(false).await, Ok(()), "a worker flies nothing");
}

#[tokio::test]
async fn read_only_database_is_not_ready() {
    let db = TestDatabase::create(migrations()).await;
    let (database, _monitor) = Database::open_monitored(&db.urls, &DbSettings::default(), true).unwrap();
    let readiness = Readiness::new(database);
    assert_eq!(readiness.check(true).await, Ok(()));
    let client = db.superuser().await;
    client
        .batch_execute(&format!(
            "alter database {0} set default_transaction_read_only = on;
             select pg_terminate_backend(pid) from pg_stat_activity where datname = '{0}' and pid <> pg_backend_pid()",
            db.name
        ))
        .await
        .unwrap();
    turns_unready(&readiness, "read-only").await;
}
