//! PostgreSQL stopped, killed or frozen under a running server: detection time, errors of requests, and automatic
//! recovery. The limits are the contract's.

mod load;

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use rowhouse_testkit::{Cluster, LIMIT, TestDatabase, until, until_true};
use serde_json::json;
use tokio::time::interval;
use tokio_postgres::Client;

use crate::fault::load::{Load, Person, RequestKind, Seen, WITHIN};
use crate::support::{PROJECT, TestApp, settings};

/// Pause between two rounds of requests while the database is away.
const PACE: Duration = Duration::from_millis(100);
/// How long the database is unavailable: longer than any request may take.
const AWAY: Duration = Duration::from_millis(6500);
/// Certainly in flight when the fault strikes.
const SLOW: &str = "create function public.slow() returns text language sql volatile as $$ select 'done' from pg_sleep(30) $$";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A fast shutdown.
    Stop,
    /// kill -9 of the postmaster.
    Kill,
    /// SIGSTOP to every process.
    FreezeAll,
    /// SIGSTOP to the postmaster: sessions work, new connections hang.
    FreezePostmaster,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_database_is_reported_clearly_and_its_recovery_detected() {
    outage(Fault::Stop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_database_is_reported_clearly_and_its_recovery_detected() {
    outage(Fault::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_database_is_reported_clearly_and_its_recovery_detected() {
    outage(Fault::FreezeAll).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_postmaster_is_reported_clearly_and_its_recovery_detected() {
    outage(Fault::FreezePostmaster).await;
}

async fn outage(fault: Fault) {
    let mut cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let db = TestDatabase::on_own_cluster(&cluster).await;
    db.migrate(PROJECT).await;
    db.migrate(SLOW).await;
    let app = Arc::new(TestApp::start_on(db, settings()).await);
    let mut prober = Person::sign_up(&app, "prober").await;
    let load = Load::start(&app).await;
    load.settled().await;

    let slow = tokio::spawn(call_slow(Arc::clone(&app)));
    let lock = block_everybody(&app).await;
    let struck = Instant::now();
    let frozen = fault.strike(&cluster);
    let noticed = ready_turns(&app, StatusCode::SERVICE_UNAVAILABLE, struck).await;
    drop(lock);
    stays_away(&mut prober, struck).await;
    let slow = slow.await.unwrap();
    assert!(slow.refused_clearly(), "in flight at the moment of the fault: {slow:?}");

    fault.undo(&mut cluster, &frozen).await;
    let back = Instant::now();
    let ready = ready_turns(&app, StatusCode::OK, back).await;
    let recovered = works_again(&app, &mut prober, back).await;
    let log = load.stop().await;
    log.judge(back + recovered);
    log.require_acknowledged_writes(&app).await;
    eprintln!(
        "{fault:?}: not ready after {noticed:?}; ready {ready:?} and all well {recovered:?} after its return; {log}"
    );
}

/// As anon, whose transaction looks at no table, so that a lock does not wait for it.
async fn call_slow(app: Arc<TestApp>) -> Seen {
    let request = app.request(Method::POST, "/rest/v1/rpc/slow").bearer_auth(&app.anon_key).json(&json!({}));
    Seen::of(RequestKind::Write, request, String::new()).await
}

/// Holds a lock that every request waits for, and returns once requests of both planes do, the slow one besides.
async fn block_everybody(app: &TestApp) -> Client {
    let holder = app.db.superuser().await;
    let watcher = app.db.superuser().await;
    until_true(&watcher, "exists (select from pg_stat_activity where wait_event = 'PgSleep')").await;
    holder.batch_execute("begin; lock table auth.users in access exclusive mode").await.unwrap();
    for applications in ["'rowhouse-data'", "'rowhouse-control', 'rowhouse-lookup'"] {
        let waiting = format!(
            "(select count(*) from pg_stat_activity where wait_event_type = 'Lock' and application_name in ({applications})) >= 2"
        );
        until_true(&watcher, &waiting).await;
    }
    holder
}

impl Fault {
    /// Returns the processes to continue.
    fn strike(self, cluster: &Cluster) -> Vec<i32> {
        let postmaster = cluster.postmaster();
        match self {
            Self::Stop => signal(postmaster, Signal::SIGINT),
            Self::Kill => signal(postmaster, Signal::SIGKILL),
            // The postmaster first, so that it starts no further process.
            Self::FreezePostmaster | Self::FreezeAll => signal(postmaster, Signal::SIGSTOP),
        }
        match self {
            Self::FreezeAll => {
                let all = cluster.processes();
                all.iter().for_each(|pid| signal(*pid, Signal::SIGSTOP));
                all
            }
            Self::FreezePostmaster => vec![postmaster],
            Self::Stop | Self::Kill => Vec::new(),
        }
    }

    async fn undo(self, cluster: &mut Cluster, frozen: &[i32]) {
        if matches!(self, Self::FreezeAll | Self::FreezePostmaster) {
            frozen.iter().for_each(|pid| signal(*pid, Signal::SIGCONT));
            return;
        }
        until("the server is gone", LIMIT, async || cluster.processes().is_empty()).await;
        tokio::task::block_in_place(|| cluster.restart());
    }
}

/// A process that has just ended by itself is no failure.
fn signal(pid: i32, signal: Signal) {
    let _gone = kill(Pid::from_raw(pid), signal);
}

/// Polls `/health/ready` until it answers `status`; how long after `since` that was.
async fn ready_turns(app: &TestApp, status: StatusCode, since: Instant) -> Duration {
    let turned = async || app.send(app.request(Method::GET, "/health/ready")).await.status == status;
    until(format!("/health/ready is {status}"), WITHIN.saturating_sub(since.elapsed()), turned).await;
    since.elapsed()
}

/// Sends new requests of every kind until the database has been away long enough: all are refused.
///
/// Readiness opens connections, so it may notice earlier than requests on connections that a frozen postmaster left working.
async fn stays_away(prober: &mut Person, struck: Instant) {
    let mut look = interval(PACE);
    let noticed = async || prober.send(RequestKind::Read).await.refused_clearly();
    until("requests are refused", WITHIN.saturating_sub(struck.elapsed()), noticed).await;
    while struck.elapsed() < AWAY {
        look.tick().await;
        for kind in RequestKind::ALL {
            let seen = prober.send(kind).await;
            assert!(seen.refused_clearly(), "while the database is away: {seen:?}");
        }
    }
}

/// Waits until every kind of request succeeds and health says so; after that, none may fail again.
async fn works_again(app: &TestApp, prober: &mut Person, back: Instant) -> Duration {
    let limit = WITHIN.saturating_sub(back.elapsed());
    until("all is well again", limit, async || all_succeed(app, prober).await).await;
    let recovered = back.elapsed();
    for _ in 0..5 {
        assert!(all_succeed(app, prober).await, "a failure after recovery");
    }
    recovered
}

async fn all_succeed(app: &TestApp, prober: &mut Person) -> bool {
    for kind in RequestKind::ALL {
        if !prober.send(kind).await.succeeded() {
            return false;
        }
    }
    let health = app.send(app.request(Method::GET, "/health")).await;
    health.status == StatusCode::OK && health.text.contains(r#""status": "healthy""#)
}
