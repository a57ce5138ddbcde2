//! Watches a runner over a second connection: reports which sessions block its statement and how far it is, and cancels it.

use std::time::Duration;

use tokio_postgres::Client;

use crate::error::DbError;
use crate::migrate::MigrateError;

const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// In percent.
const REPORT_STEP: i64 = 10;
const CANCEL_INTERVAL: Duration = Duration::from_millis(50);
/// Ten seconds for a cancelled statement to end; then its session is terminated.
const MAX_CANCELS: u32 = 200;

/// Runs `work`, whose statements go over `session`; reports over `watcher` what blocks them, and cancels them when
/// `stop` completes.
///
/// # Errors
/// Those of `work`; [`MigrateError::Interrupted`].
pub async fn watched<T, E: From<MigrateError>>(
    session: &Client,
    watcher: &Client,
    stop: impl Future<Output = ()>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let pid: i32 =
        session.query_one("select pg_backend_pid()", &[]).await.map_err(MigrateError::from)?.get(0);
    let mut work = std::pin::pin!(work);
    tokio::select! {
        result = &mut work => return result,
        () = stop => {}
        () = report(watcher, pid) => {}
    }
    tokio::select! {
        _cancelled = work => {}
        result = cancel(watcher, pid) => result.map_err(MigrateError::from)?,
    }
    Err(MigrateError::Interrupted.into())
}

/// How far a long statement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: String,
    /// How much of that is done; none while PostgreSQL does not know.
    pub percent: Option<i64>,
}

impl Progress {
    /// Of the statement of session `pid`; none for those that PostgreSQL reports nothing of.
    ///
    /// # Errors
    /// The database's.
    pub async fn find(watcher: &Client, pid: i32) -> Result<Option<Self>, DbError> {
        let row = watcher.query_opt(include_str!("../../sql/progress.sql"), &[&pid]).await?;
        Ok(row.map(|row| Self { phase: row.get(0), percent: row.get(1) }))
    }

    /// Whether it is worth a line after `reported`: another phase, or a tenth more.
    fn is_news(&self, reported: Option<&Self>) -> bool {
        let Some(reported) = reported.filter(|reported| reported.phase == self.phase) else { return true };
        self.percent.unwrap_or(0) >= reported.percent.unwrap_or(0) + REPORT_STEP
    }
}

/// Never ends.
async fn report(watcher: &Client, pid: i32) {
    let mut reported = Vec::new();
    let mut progress: Option<Progress> = None;
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        // A failure of the watcher is ignored; the runner's own connection reports what is wrong.
        let rows = watcher.query(include_str!("../../sql/blockers.sql"), &[&pid]).await.unwrap_or_default();
        let blockers: Vec<(i32, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        if blockers != reported {
            for (blocker, query) in &blockers {
                tracing::warn!("waiting for pid {blocker} running: {query}");
            }
            reported = blockers;
        }
        let now = Progress::find(watcher, pid).await.unwrap_or_default();
        if let Some(now) = now.filter(|now| now.is_news(progress.as_ref())) {
            let percent = now.percent.map(|percent| format!(", {percent} %")).unwrap_or_default();
            tracing::warn!("still running: {}{percent}", now.phase);
            progress = Some(now);
        }
    }
}

/// Cancels until the session runs nothing.
async fn cancel(watcher: &Client, pid: i32) -> Result<(), DbError> {
    let state = "select coalesce((select state from pg_stat_activity where pid = $1), 'idle')";
    for _ in 0..MAX_CANCELS {
        let state: String = watcher.query_one(state, &[&pid]).await?.get(0);
        if state == "idle" {
            return Ok(());
        }
        watcher.execute("select pg_cancel_backend($1)", &[&pid]).await?;
        tokio::time::sleep(CANCEL_INTERVAL).await;
    }
    watcher.execute("select pg_terminate_backend($1)", &[&pid]).await?;
    Ok(())
}
