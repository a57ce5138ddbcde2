use std::sync::Arc;

use rowhouse_db::{Database, DbSettings};
use rowhouse_kernel::SystemClock;
use rowhouse_testkit::{LIMIT, TestDatabase, until};

use rowhouse_http::Supervisor;

use super::{Health, MIN_COUNT_INTERVAL, Status};

#[tokio::test]
async fn slow_count_runs_once_and_the_last_result_is_reported_meanwhile() {
    let db = TestDatabase::create().await;
    let (database, _monitor) = Database::open_monitored(&db.urls, &DbSettings::default(), true).unwrap();
    let health = Health::new(database, Arc::new(SystemClock), Vec::new(), Supervisor::default(), true);
    until("it is healthy", LIMIT, async || health.report().await.status == Status::Healthy).await;
    let client = db.superuser().await;
    // As old as a count that is due again.
    health.last_sync.lock().unwrap().as_mut().unwrap().began -= MIN_COUNT_INTERVAL * 20;
    client.batch_execute("begin; lock table auth.users").await.unwrap();
    for _ in 0..2 {
        let (one, two, three) = tokio::join!(health.report(), health.report(), health.report());
        for report in [one, two, three] {
            assert_eq!((report.status, report.user_sync.is_some()), (Status::Healthy, true));
        }
    }
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    assert_eq!(client.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn database_that_takes_no_writes_is_unhealthy() {
    let db = TestDatabase::create().await;
    let (database, _monitor) = Database::open_monitored(&db.urls, &DbSettings::default(), true).unwrap();
    let health = Health::new(database, Arc::new(SystemClock), Vec::new(), Supervisor::default(), true);
    until("it is healthy", LIMIT, async || health.report().await.status == Status::Healthy).await;
    let read_only = format!(
        "alter database {0} set default_transaction_read_only = on;
         select pg_terminate_backend(pid) from pg_stat_activity where datname = '{0}' and pid <> pg_backend_pid()",
        db.name
    );
    db.superuser().await.batch_execute(&read_only).await.unwrap();
    let says_so = async || {
        let report = health.report().await;
        let parts = ["database", "auth"].map(|part| report.services[part]);
        (report.status, report.database.as_str(), parts) == (Status::Unhealthy, "read-only", ["unhealthy"; 2])
    };
    until("it says that nothing can be written", LIMIT, says_so).await;
}
