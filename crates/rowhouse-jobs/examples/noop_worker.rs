//! A worker that runs `jobs.noop`, for `cargo xtask bench jobs`: the job does nothing, so that the worker itself is
//! measured. Runs until its standard input ends. With the argument `starts` it then prints as JSON when each job
//! started, in microseconds of Unix time by id.

use std::collections::BTreeMap;
use std::io::{Error, Write as _, stdout};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rowhouse_db::{Control, DbSettings};
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobKind, Registry, Worker, WorkerParts};
use rowhouse_kernel::{Clock as _, Secret, SystemClock, SystemRng};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

/// How long running jobs may take to end.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Does nothing, and optionally records when it was called.
#[derive(Clone)]
struct Noop(Option<Arc<Mutex<BTreeMap<i64, i64>>>>);

impl Handler for Noop {
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        if let Some(starts) = &self.0 {
            let now = i64::try_from(SystemClock.now().unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
            starts.lock().unwrap_or_else(PoisonError::into_inner).insert(job.id, now);
        }
        Box::pin(std::future::ready(Ok(None)))
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let url = std::env::var("DATABASE_URL").map_err(Error::other)?;
    let settings = DbSettings { control_pool_size: 6, ..DbSettings::default() };
    let noop = Noop(std::env::args().any(|argument| argument == "starts").then(Arc::default));
    let mut registry = Registry::new();
    registry.add(JobKind::new("jobs.noop"), noop.clone());
    let parts = WorkerParts {
        control: Control::open(&Secret::new(url), &settings).map_err(Error::other)?,
        registry,
        concurrency: 50,
        release: "1.0.0".to_owned(),
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
    };
    let worker = Worker::start(parts).await.map_err(Error::other)?;
    writeln!(stdout(), "ready")?;
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    worker.stop(TIMEOUT).await;
    if let Some(starts) = noop.0 {
        writeln!(stdout(), "{}", json!(*starts.lock().unwrap_or_else(PoisonError::into_inner)))?;
    }
    Ok(())
}
