use std::sync::Arc;

use rowhouse_db::migrate::Migration;
use rowhouse_db::{Database, DbSettings};
use rowhouse_kernel::SystemClock;
use rowhouse_testkit::TestDatabase;

use rowhouse_http::Supervisor;

use super::{Health, Status};

#[tokio::test]
async fn slow_count_runs_once_and_the_last_result_is_reported_meanwhile() {
    let migrations = Migration::embedded(&[
        rowhouse_db::MIGRATIONS,
        rowhouse_audit::MIGRATIONS,
        rowhouse_auth::MIGRATIONS,
        rowhouse_tenancy::MIGRATIONS,
        rowhouse_jobs::MIGRATIONS,
    ]);
    let db = TestDatabase::create(migrations).await;
    let (database, _monitor) = Database::open_monitored(&db.urls, &DbSettings::default(), true).unwrap();
    let health = Health::new(database, Arc::new(SystemClock), Vec::new(), Supervisor::default(), true);
    assert_eq!(health.report().await.status, Status::Healthy);
    let client = db.superuser().await;
    client.batch_execute("select pg_sleep(4)").await.unwrap();
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
