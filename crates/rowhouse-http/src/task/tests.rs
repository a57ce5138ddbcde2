use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{BackgroundTask, Heartbeat, Supervisor, TaskState, TaskStatus, TookTooLong};

const SECOND: Duration = Duration::from_secs(1);
/// A failure has to be detected within this time.
const SEEN_WITHIN: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// The first run of a task has the fault; later ones succeed.
async fn first_run(runs: &AtomicU32, heartbeat: &Heartbeat, fault: impl Future<Output = ()>) {
    heartbeat.sleep(SECOND).await;
    if runs.fetch_add(1, Ordering::Relaxed) == 0 {
        fault.await;
    } else {
        heartbeat.idle(pending::<()>()).await;
    }
}

/// Waits, on the paused clock, for the status of the only task.
async fn until(supervisor: &Supervisor, wanted: impl Fn(&TaskStatus) -> bool) -> TaskStatus {
    let began = Instant::now();
    while began.elapsed() < 3 * SEEN_WITHIN {
        let status = supervisor.statuses().remove(0);
        if wanted(&status) {
            return status;
        }
        tokio::time::advance(LOOK).await;
        tokio::task::yield_now().await;
    }
    panic!("the status does not come: {:?}", supervisor.statuses())
}

/// Starts a task whose first run has the fault after a second; returns the error of its status.
async fn fails<F>(fault: fn() -> F) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let runs = Arc::new(AtomicU32::new(0));
    let supervisor = Supervisor::default();
    supervisor.spawn(BackgroundTask::new("trial", move |heartbeat| {
        let runs = Arc::clone(&runs);
        async move { first_run(&runs, &heartbeat, fault()).await }
    }));
    let began = Instant::now();
    let down = until(&supervisor, |status| !status.is_up()).await;
    assert!(began.elapsed() <= SECOND + SEEN_WITHIN, "seen after {:?}", began.elapsed());
    let up = until(&supervisor, TaskStatus::is_up).await;
    assert_eq!((up.restarts, &up.last_error), (1, &down.last_error));
    tokio::time::sleep(SEEN_WITHIN).await;
    assert!(until(&supervisor, |_| true).await.is_up(), "a task that waits is not taken for hung");
    down.last_error.unwrap()
}

#[tokio::test(start_paused = true)]
async fn task_that_panics_is_seen_and_restarted() {
    assert_eq!(fails(|| async { panic!("lost the thread") }).await, "panicked: lost the thread");
}

#[tokio::test(start_paused = true)]
async fn task_that_returns_is_seen_and_restarted() {
    assert_eq!(fails(|| async {}).await, "returned");
}

#[tokio::test(start_paused = true)]
async fn task_that_hangs_is_seen_and_restarted() {
    let error = fails(pending).await;
    assert!(error.starts_with("hung: no heartbeat for "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn task_that_fails_at_each_start_never_counts_as_up() {
    let supervisor = Supervisor::default();
    supervisor.spawn(BackgroundTask::new("trial", |_| async { Err::<Infallible, _>("no database") }));
    until(&supervisor, |status| !status.is_up()).await;
    for _ in 0..600 {
        tokio::time::advance(2 * LOOK).await;
        tokio::task::yield_now().await;
        assert!(!supervisor.statuses()[0].is_up());
    }
    let status = supervisor.statuses().remove(0);
    let TaskState::Restarting { since } = status.state else { panic!("{status:?}") };
    assert!(since >= 50 * SECOND, "{since:?}");
    assert!((5..20).contains(&status.restarts), "{status:?}");
    assert_eq!(status.last_error.as_deref(), Some("no database"));
}

#[tokio::test(start_paused = true)]
async fn work_beyond_its_limit_is_dropped() {
    let supervisor = Supervisor::default();
    supervisor.spawn(BackgroundTask::new("trial", |heartbeat| async move {
        heartbeat.within(20 * SECOND, pending::<()>()).await
    }));
    let status = until(&supervisor, |status| !status.is_up()).await;
    assert_eq!(status.last_error, Some(TookTooLong(20 * SECOND).to_string()));
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_a_task_finish_and_ends_the_others() {
    let finished = Arc::new(AtomicU32::new(0));
    let supervisor = Supervisor::default();
    let count = Arc::clone(&finished);
    let careful = move |heartbeat: Heartbeat| {
        let count = Arc::clone(&count);
        async move {
            heartbeat.idle(heartbeat.stopping()).await;
            tokio::time::sleep(SECOND).await;
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    supervisor.spawn(BackgroundTask::new("careful", careful).finish_within(5 * SECOND));
    supervisor.spawn(BackgroundTask::new("deaf", |_| pending::<()>()).finish_within(2 * SECOND));
    supervisor.spawn(BackgroundTask::new("plain", |_| pending::<()>()));
    tokio::task::yield_now().await;
    let began = Instant::now();
    supervisor.shutdown().await;
    assert_eq!((finished.load(Ordering::Relaxed), began.elapsed().as_secs()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn tasks_end_with_their_supervisor() {
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let supervisor = Supervisor::default();
    supervisor.spawn(BackgroundTask::new("trial", move |_| {
        let held = Arc::clone(&held);
        async move {
            let _held = held;
            pending::<()>().await;
        }
    }));
    tokio::task::yield_now().await;
    drop(supervisor);
    // The clock moves on only when nothing is left to do.
    tokio::time::sleep(SECOND).await;
    assert_eq!(Arc::strong_count(&alive), 1);
}
