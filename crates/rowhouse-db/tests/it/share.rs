//! A tenant, or a caller without one, has a share of the connections and of the streams, whatever its requests do.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use rowhouse_db::flight::{Access, Import, Query, RequestContext};
use rowhouse_db::{DbError, DbSettings};
use rowhouse_kernel::Caller;
use rowhouse_testkit::until;

use crate::support::{Harness, context};

const WAIT: Duration = Duration::from_secs(30);
/// Waits until the test releases the lock.
const SLOW: &str = "select pg_advisory_xact_lock_shared($1::bigint)::text";
/// Longer than flights stay behind one that holds them up.
const HELD_UP: Duration = Duration::from_secs(1);
/// Another statement, since whether one is quick is known by its text.
const OTHER: &str = "select pg_advisory_xact_lock_shared($1::bigint)::text as other";

fn shared_pool(data_pool_size: u32) -> DbSettings {
    DbSettings { data_pool_size, acquire_timeout: WAIT, statement_timeout: WAIT, ..DbSettings::default() }
}

impl Harness {
    async fn read(&self, caller: &Caller, sql: &str, params: &[&str]) -> Result<(), DbError> {
        let reading = RequestContext { access: Access::ReadOnly, ..context(caller) };
        let params = params.iter().map(|text| Some(Bytes::copy_from_slice(text.as_bytes()))).collect();
        self.database.data.fly(&reading, &Query { sql: sql.into(), params }).await.map(drop)
    }

    /// Sessions that wait for the lock `key`.
    async fn stopped(&self, key: i32) -> i64 {
        let sql = "select count(*) from pg_locks where locktype = 'advisory' and not granted \
                   and objid::bigint = $1 \
                   and database = (select oid from pg_database where datname = current_database())";
        self.db.superuser().await.query_one(sql, &[&i64::from(key)]).await.unwrap().get(0)
    }

    async fn all_stopped(&self, key: i32, count: i64) {
        until("the share is used up", WAIT, async || self.stopped(key).await == count).await;
    }

    /// A metric of the callers' pool, as it is scraped.
    fn scraped(&self, name: &str) -> u64 {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || self.database.data.record_counts());
        let shown = recorder.handle().render();
        let metric = format!("{name}{{pool=\"data\"}} ");
        let value = shown.lines().find_map(|line| line.strip_prefix(&metric));
        value.unwrap_or_else(|| panic!("no {metric} in {shown}")).parse().unwrap()
    }

    async fn share_is_forgotten(&self) {
        let forgotten = async || self.scraped("db_client_share_holders") == 0;
        until("the share is forgotten", WAIT, forgotten).await;
    }

    async fn import(&self, caller: &Caller) -> Result<Import, DbError> {
        let query = Query { sql: "select 'imported'".into(), params: Vec::new() };
        self.database.data.import(&context(caller), &query).await
    }
}

#[tokio::test]
async fn slow_requests_of_one_tenant_leave_connections_to_others() {
    let harness = Harness::new(shared_pool(4)).await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    let admin = harness.db.superuser().await;
    admin.batch_execute("select pg_advisory_lock(77)").await.unwrap();
    let slow = join_all((0..8).map(async |n: usize| match n % 2 {
        0 => harness.read(&a, SLOW, &["77"]).await,
        _ => harness.fly(&a, SLOW, &["77"]).await.map(drop),
    }));
    let others = async {
        harness.all_stopped(77, 3).await;
        for _ in 0..10 {
            assert_eq!(harness.text(&b, "select 'at once'").await.unwrap(), "at once");
            harness.read(&Caller::anonymous(), "select 1", &[]).await.unwrap();
        }
        assert_eq!(harness.stopped(77).await, 3);
        admin.batch_execute("select pg_advisory_unlock(77)").await.unwrap();
    };
    let (slow, ()) = tokio::join!(slow, others);
    slow.into_iter().for_each(|answer| answer.unwrap());
    harness.share_is_forgotten().await;
}

/// Flights that a slow one of their shared send delays move to other connections, but only within the share.
#[tokio::test]
async fn delayed_flights_of_a_shared_send_stay_within_the_share() {
    let harness = Harness::new(shared_pool(4)).await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    // Known to be quick on every connection, so that others are pipelined behind it.
    for _ in 0..3 {
        join_all((0..8).map(async |_| harness.read(&a, SLOW, &["1"]).await.unwrap())).await;
    }
    let admin = harness.db.superuser().await;
    admin.batch_execute("select pg_advisory_lock(76), pg_advisory_lock(77)").await.unwrap();
    let first = join_all((0..3).map(async |_| harness.read(&a, OTHER, &["76"]).await));
    let then = join_all((0..12).map(async |_| harness.read(&a, SLOW, &["77"]).await));
    let rest = async {
        harness.all_stopped(76, 3).await;
        let mut then = pin!(then);
        let unlock = admin.batch_execute("select pg_advisory_unlock(76)");
        let held_up = tokio::join!(tokio::time::timeout(HELD_UP, &mut then), unlock).0;
        assert!(held_up.is_err());
        assert_eq!(harness.text(&b, "select 'at once'").await.unwrap(), "at once");
        assert_eq!(harness.stopped(77).await, 3);
        admin.batch_execute("select pg_advisory_unlock(77)").await.unwrap();
        then.await
    };
    let (first, then) = tokio::join!(first, rest);
    first.into_iter().chain(then).for_each(|answer| answer.unwrap());
    harness.share_is_forgotten().await;
}

#[tokio::test]
async fn reads_that_wait_for_their_share_are_sent_together() {
    let harness = Harness::new(shared_pool(2)).await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    for _ in 0..3 {
        harness.read(&a, "select 1", &[]).await.unwrap();
    }
    let admin = harness.db.superuser().await;
    admin.batch_execute("select pg_advisory_lock(77)").await.unwrap();
    let slow = harness.read(&a, SLOW, &["77"]);
    let quick = join_all((0..8).map(async |_| harness.read(&a, "select 1", &[]).await));
    let others = async {
        assert_eq!(harness.text(&b, "select 'at once'").await.unwrap(), "at once");
        admin.batch_execute("select pg_advisory_unlock(77)").await.unwrap();
    };
    let rest = async {
        harness.all_stopped(77, 1).await;
        tokio::join!(quick, others)
    };
    let (slow, (quick, ())) = tokio::join!(slow, rest);
    quick.into_iter().chain([slow]).for_each(|answer| answer.unwrap());
    assert!(harness.scraped("db_client_shared_flights_total") > 1, "no flights were sent together");
    harness.share_is_forgotten().await;
}

#[tokio::test]
async fn imports_of_one_tenant_leave_streams_to_others() {
    let settings = DbSettings { acquire_timeout: Duration::from_millis(100), ..shared_pool(8) };
    let harness = Harness::new(settings).await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    let open = [harness.import(&a).await.unwrap(), harness.import(&a).await.unwrap()];
    assert!(matches!(harness.import(&a).await, Err(DbError::ShareTimeout(_))));
    harness.import(&b).await.unwrap().finish().await.unwrap();
    harness.text(&a, "select 'other requests go on'").await.unwrap();
    for import in open {
        import.finish().await.unwrap();
    }
    harness.import(&a).await.unwrap().finish().await.unwrap();
    harness.share_is_forgotten().await;
}

#[tokio::test]
async fn request_that_waits_too_long_for_its_share_is_refused_alone() {
    let settings = DbSettings { acquire_timeout: Duration::from_millis(100), ..shared_pool(2) };
    let harness = Harness::new(settings).await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    let open = harness.import(&a).await.unwrap();
    assert!(matches!(harness.read(&a, "select 1", &[]).await, Err(DbError::ShareTimeout(_))));
    assert!(matches!(harness.fly(&a, "select 1", &[]).await, Err(DbError::ShareTimeout(_))));
    harness.read(&b, "select 1", &[]).await.unwrap();
    drop(open);
    until("the import's connection is free", WAIT, async || harness.read(&a, "select 1", &[]).await.is_ok())
        .await;
    harness.share_is_forgotten().await;
}
