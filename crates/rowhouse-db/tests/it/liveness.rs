//! What counts as the server's absence, and what does not.

use std::time::{Duration, Instant};

use rowhouse_db::Health;
use rowhouse_kernel::settings::DbSettings;

use crate::support::World;

#[tokio::test]
async fn end_of_the_monitors_own_connections_is_no_outage() {
    let world = World::new(DbSettings::default()).await;
    let superuser = world.db.superuser().await;
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and application_name = 'rowhouse-control'";
    let (began, mut ended) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(5) {
        ended += superuser.query_one(end, &[]).await.unwrap().get::<_, i64>(0);
        for _ in 0..20 {
            assert_eq!(world.database.liveness.health(), Health::Up);
            superuser.batch_execute("select pg_sleep(0.01)").await.unwrap();
        }
    }
    assert!(ended > 2, "the monitor has asked meanwhile");
}
