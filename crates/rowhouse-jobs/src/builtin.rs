//! Built-in jobs: `jobs.noop`, and cleanup, which deletes expired rows in small steps.

use rowhouse_kernel::Operation;
use std::time::Duration;

use rowhouse_db::{Control, DbError};
use serde_json::json;

use crate::BuiltInSchedule;
use crate::settings::JobsSettings;
use crate::{Handler, HandlerFuture, Job, JobError, JobResult};
use crate::{JobKind, Registry};

/// Most steps of one run; the next run continues.
const MOST_STEPS: u32 = 1_000;
/// How long records of `jobs.once` are kept.
const KEEP_EFFECTS: Duration = Duration::from_secs(30 * 86_400);

/// Schedules of this crate's own jobs.
pub const SCHEDULES: &[BuiltInSchedule] =
    &[BuiltInSchedule { name: "jobs.prune", cron: "17 * * * *", kind: "jobs.prune" }];

/// `jobs.noop` and `jobs.prune`.
#[must_use]
pub fn kinds() -> Vec<JobKind> {
    vec![JobKind::new("jobs.noop"), Tidy::kind("jobs.prune")]
}

/// Adds them.
pub fn add_kinds(registry: &mut Registry, control: &Control, settings: &JobsSettings) {
    registry.add(JobKind::new("jobs.noop"), Noop);
    let ages =
        [settings.keep_done, settings.keep_results, settings.keep_log, settings.keep_dead, KEEP_EFFECTS];
    let ages = ages.map(|age| age.as_secs_f64()).to_vec();
    registry.add(Tidy::kind("jobs.prune"), Tidy::with(control, "select jobs.prune($1)", ages));
}

/// Does nothing, for measurements.
#[derive(Debug)]
struct Noop;

impl Handler for Noop {
    fn run<'a>(&'a self, _: &'a Job) -> HandlerFuture<'a> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// Repeats a platform function until it has nothing more to do. The function does one small step and returns the
/// number of rows affected.
#[derive(Debug)]
pub struct Tidy {
    control: Control,
    statement: &'static str,
    /// The statement's one parameter, if it has one.
    ages: Option<Vec<f64>>,
}

impl Tidy {
    /// `statement` selects the step's count (bigint).
    #[must_use]
    pub fn new(control: &Control, statement: &'static str) -> Self {
        Self { control: control.clone(), statement, ages: None }
    }

    /// The same, with ages in seconds for its parameter.
    #[must_use]
    pub fn with(control: &Control, statement: &'static str, ages: Vec<f64>) -> Self {
        Self { control: control.clone(), statement, ages: Some(ages) }
    }

    /// The kind of such a job: few attempts are enough, since the next scheduled run continues.
    #[must_use]
    pub fn kind(name: &str) -> JobKind {
        JobKind { max_attempts: 5, ..JobKind::new(name) }
    }

    async fn step(&self, job: &Job) -> Result<i64, DbError> {
        let operation = Operation::system("jobs_tidy").for_request(job.request_id.as_deref());
        let (statement, ages) = (self.statement.to_owned(), self.ages.clone());
        self.control
            .run_tx(&operation, async move |tx| {
                let row = match &ages {
                    Some(ages) => tx.query_one(&statement, &[ages]).await?,
                    None => tx.query_one(&statement, &[]).await?,
                };
                Ok(row.get(0))
            })
            .await
    }

    async fn tidy(&self, job: &Job) -> JobResult {
        let mut removed = 0;
        for _ in 0..MOST_STEPS {
            match self.step(job).await.map_err(|error| JobError::Retry(error.to_string()))? {
                0 => break,
                count => removed += count,
            }
        }
        Ok(Some(json!({ "removed": removed }).into()))
    }
}

impl Handler for Tidy {
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(self.tidy(job))
    }
}
