//! `jobs drain`: waits until no jobs are left, and reports progress.

use std::time::{Duration, Instant};

use rowhouse_db::DbError;
use rowhouse_module::{CannotRun, CommandOutcome};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::admin;

/// Interval of polling.
const LOOK: Duration = Duration::from_millis(500);
/// Interval of progress lines.
const REPORT_EVERY: Duration = Duration::from_secs(2);

pub(super) async fn run(
    client: &Client,
    queue: Option<&str>,
    timeout: Option<Duration>,
) -> Result<CommandOutcome, CannotRun> {
    if let Some(queue) = queue {
        admin::require_queue(client, queue).await?;
    }
    let began = Instant::now();
    let mut reported: Option<Instant> = None;
    loop {
        let left = left(client, queue).await?;
        if left == 0 {
            return Ok(CommandOutcome::yes(json!({ "empty": true }), "empty"));
        }
        if timeout.is_some_and(|timeout| began.elapsed() >= timeout) {
            let text = format!("{left} jobs are left");
            return Ok(CommandOutcome { yes: false, json: json!({ "empty": false, "left": left }), text });
        }
        if reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            eprintln!("{left} jobs are left");
            reported = Some(Instant::now());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Jobs that are ready, running or waiting for a retry.
async fn left(client: &Client, queue: Option<&str>) -> Result<i64, DbError> {
    let stats = admin::stats(client).await?;
    let of_queue = stats.iter().filter(|kind| queue.is_none_or(|queue| kind["queue"] == queue));
    let number = |kind: &Value, name: &str| kind[name].as_i64().unwrap_or(0);
    Ok(of_queue
        .map(|kind| ["ready", "running", "retrying"].iter().map(|name| number(kind, name)).sum::<i64>())
        .sum())
}
