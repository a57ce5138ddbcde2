//! What the campaign's jobs do, and what they write down of it.

use std::time::Duration;

use rowhouse_db::{Control, DbError};
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JobResult, Registry};
use serde_json::json;
use tokio_postgres::types::ToSql;

use crate::support::{Does, kind};

/// Some jobs take so long.
const WORK: Duration = Duration::from_millis(50);

pub(super) fn registry(control: &Control) -> Registry {
    let mut registry = Registry::new();
    registry.add(kind("jobs.noop"), Does(async |_| Ok(None)));
    registry.add(kind("chaos.act"), Act(control.clone()));
    registry
}

struct Act(Control);

impl Handler for Act {
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(self.act(job))
    }
}

impl Act {
    async fn act(&self, job: &Job) -> JobResult {
        let what = job.payload["do"].as_str().unwrap_or_default();
        let family = job.payload.get("family").and_then(serde_json::Value::as_i64);
        self.call("select chaos.begin_run($1, $2, $3, $4)", &[&job.id, &attempt(job), &job.lease.id, &what])
            .await?;
        match what {
            "flaky" if job.attempt < 3 => return Err(JobError::Retry("not yet".to_owned())),
            "fatal" => return Err(JobError::Fatal("hopeless".to_owned())),
            "work" | "capped" | "keyed" | "unique" => pause(WORK).await,
            "result" => return Ok(Some(json!({ "id": job.id }).into())),
            "effect" => self.call("select chaos.effect($1)", &[&job.id]).await?,
            "complete" => self.complete(job).await?,
            "child" => {
                self.call(
                    "insert into chaos.ended values ($2, $1) on conflict do nothing",
                    &[&job.id, &family],
                )
                .await?;
            }
            "parent" => self.call("select chaos.check_family($1, $2)", &[&job.id, &family]).await?,
            _ => {}
        }
        self.call("select chaos.end_run($1, $2, $3)", &[&job.id, &attempt(job), &job.lease.id]).await?;
        Ok(None)
    }

    /// Effect and completion are one transaction; whoever has lost the job leaves no effect of it.
    async fn complete(&self, job: &Job) -> Result<(), JobError> {
        let outcomes = json!([{ "id": job.id, "lease": job.lease.id, "state": "done" }]);
        let completed =
            self.call("select chaos.complete($1, $2, $3)", &[&job.id, &job.lease.worker, &outcomes]).await;
        match completed {
            Err(JobError::Retry(why)) if why.contains("refused") => {
                self.call("insert into chaos.refused values ($1)", &[&job.id]).await
            }
            other => other,
        }
    }

    async fn call(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<(), JobError> {
        let retry = |error: DbError| JobError::Retry(error.to_string());
        let client = self.0.connection().await.map_err(retry)?;
        client.execute(sql, values).await.map(drop).map_err(|error| retry(error.into()))
    }
}

fn attempt(job: &Job) -> i16 {
    i16::try_from(job.attempt).unwrap_or(0)
}

pub(super) async fn pause(time: Duration) {
    let _elapsed = tokio::time::timeout(time, std::future::pending::<()>()).await;
}
