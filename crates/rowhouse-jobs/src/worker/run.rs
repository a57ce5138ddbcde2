//! One run of one job: with its timeout, inside `catch_unwind`, and with cancellation.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rowhouse_kernel::Rng;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::batch::Completion;
use crate::JobKind;
use crate::store::{Claimed, PartitionRow};
use crate::{Handler, Job, JobError, JobResult, JsonText};

/// Results larger than this are not kept: they belong into a table.
const MOST_RESULT: usize = 64 * 1024;
/// Characters of an error that are kept.
const MOST_ERROR: usize = 10_000;
/// Seconds until another run, at most: a year.
const LONGEST_PAUSE: f64 = 31_536_000.0;

/// A handler that blocks its thread cannot be stopped; so long after its timeout the job ends without it.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// Why a run is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    No,
    /// Somebody cancelled the job.
    Cancelled,
    /// The worker shuts down.
    Leaving,
    /// Other workers have rescued the jobs; an outcome would be refused.
    Lost,
}

/// Makes a job out of what was claimed.
///
/// # Errors
/// Why the payload cannot be read: PostgreSQL stores JSON that `serde_json` refuses, nested deeper or with larger numbers.
pub(crate) fn job(
    claimed: &Claimed,
    partition: &PartitionRow,
    kind: &JobKind,
    lease: crate::Lease,
) -> Result<Job, String> {
    let payload: Map<String, Value> = match &claimed.payload {
        Some(text) => serde_json::from_str(text).map_err(|error| error.to_string())?,
        None => Map::new(),
    };
    let option = |name: &str| claimed.options.as_ref()?.get(name).cloned();
    let number = |name: &str| option(name)?.as_f64();
    let max_attempts = number("max_attempts").map_or(kind.max_attempts, |most| most as u16);
    let timeout = number("timeout").and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(Job {
        id: claimed.id,
        kind: Arc::clone(&kind.name),
        queue: Arc::clone(&partition.queue),
        tenant: partition.tenant.map(rowhouse_kernel::TenantId),
        attempt: u16::try_from(claimed.attempt).unwrap_or(0).saturating_add(1),
        max_attempts,
        timeout: timeout.unwrap_or(kind.timeout),
        payload,
        payload_json: claimed.payload.as_deref().unwrap_or("{}").into(),
        enqueued_at: claimed.enqueued_at,
        request_id: option("request_id").and_then(|id| id.as_str().map(str::to_owned)),
        lease,
    })
}

/// Runs a job to its end.
pub(crate) async fn run(
    job: &Job,
    kind: &JobKind,
    handler: &dyn Handler,
    mut stop: watch::Receiver<Stop>,
    rng: &dyn Rng,
) -> Completion {
    let stopped = async {
        let reason = stop.wait_for(|stop| *stop != Stop::No).await.map(|stop| *stop);
        match reason {
            Ok(stop) => stop,
            Err(_) => std::future::pending().await,
        }
    };
    // A handler may panic before it returns its future.
    let work = AssertUnwindSafe(async { handler.run(job).await }).catch_unwind();
    tokio::select! {
        biased;
        stop = stopped => match stop {
            Stop::Cancelled => Completion::Cancelled("cancelled while it ran".to_owned()),
            _ => Completion::Release,
        },
        result = tokio::time::timeout(job.timeout, work) => {
            let result = match result {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(panicked()),
                Err(_) => Err(late(job)),
            };
            match ended(job, kind, result, rng) {
                Completion::Done(_) if handler.completes_itself() => Completion::ByHandler,
                end => end,
            }
        }
    }
}

pub(crate) fn panicked() -> JobError {
    JobError::Retry("the handler panicked".to_owned())
}

/// The failure of a run that did not end in time.
pub(crate) fn late(job: &Job) -> JobError {
    JobError::Retry(format!("it took longer than {:?}", job.timeout))
}

/// The outcome that a result means for the job, with texts and numbers that PostgreSQL can store.
pub(crate) fn ended(job: &Job, kind: &JobKind, result: JobResult, rng: &dyn Rng) -> Completion {
    match meaning(job, kind, result, rng) {
        Completion::Retry(after, error) => Completion::Retry(after.clamp(0.0, LONGEST_PAUSE), clean(&error)),
        Completion::Dead(error) => Completion::Dead(clean(&error)),
        Completion::Snooze(after, why) => Completion::Snooze(after.clamp(0.0, LONGEST_PAUSE), clean(&why)),
        Completion::Interrupted(why) => Completion::Interrupted(clean(&why)),
        other => other,
    }
}

/// An error as it can be stored: without NUL, which jsonb refuses, and cut at [`MOST_ERROR`].
fn clean(error: &str) -> String {
    error.chars().take(MOST_ERROR).map(|c| if c == '\0' { '\u{FFFD}' } else { c }).collect()
}

/// Whether the result can be stored. One that cannot is dropped, and the job counts as done: its work must not be repeated.
fn is_kept(job: &Job, result: &JsonText) -> bool {
    let why = if result.as_str().len() > MOST_RESULT {
        "it has more than 64 KiB"
    } else if result.has_nul() {
        "it holds the character NUL, which jsonb cannot"
    } else {
        return true;
    };
    tracing::warn!(job_id = job.id, why, "the result of a job is not kept");
    false
}

fn meaning(job: &Job, kind: &JobKind, result: JobResult, rng: &dyn Rng) -> Completion {
    let last = job.attempt >= job.max_attempts;
    match result {
        Ok(result) => Completion::Done(result.filter(|result| is_kept(job, result))),
        Err(JobError::Fatal(error)) => Completion::Dead(error),
        Err(JobError::Release) => Completion::Release,
        Err(JobError::Snooze(pause, why)) => Completion::Snooze(pause.as_secs_f64(), why),
        Err(JobError::Interrupted(why)) => Completion::Interrupted(why),
        Err(JobError::Retry(error) | JobError::RetryAfter(_, error)) if last => Completion::Dead(error),
        Err(JobError::Retry(error)) => Completion::Retry(jitter(kind.pause(job.attempt), rng), error),
        Err(JobError::RetryAfter(pause, error)) => {
            Completion::Retry(pause.as_secs_f64() + jitter(Duration::from_secs(1), rng), error)
        }
    }
}

/// Seconds between three quarters and five quarters of `pause`, so that what failed together is not retried together.
fn jitter(pause: Duration, rng: &dyn Rng) -> f64 {
    let mut bytes = [0_u8; 4];
    rng.fill(&mut bytes);
    let share = f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX);
    pause.as_secs_f64() * (0.75 + share / 2.0)
}
