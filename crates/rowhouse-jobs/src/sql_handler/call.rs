//! One call: parsing the payload, setting role and claims, and completing the job in the same transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use rowhouse_db::{DbError, TransactionError};
use serde_json::value::RawValue;
use tokio_postgres::{Client, Row};

use super::KIND;
use crate::raw_json::RawJson;
use crate::{Job, JobError};

/// Results larger than this are not kept: they belong into a table.
const MOST_RESULT: usize = 64 * 1024;
/// Key of the scheduled time in a payload. Passed to functions that have an argument of this name.
const SCHEDULED_AT: &str = "scheduled_at";
/// Deferred constraints and cursors run before the end of the transaction, with the function's rights.
const CLOSE: &str = "set constraints all immediate; close all; unlisten *";

/// Why the transaction is rolled back.
#[derive(Debug)]
pub(super) enum CallError {
    Job(JobError),
    /// No connection: nothing was done.
    Unreachable(DbError),
    Database(DbError),
}

impl From<JobError> for CallError {
    fn from(error: JobError) -> Self {
        Self::Job(error)
    }
}

impl From<DbError> for CallError {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl TransactionError for CallError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Database(error) | Self::Unreachable(error) => Some(error),
            Self::Job(_) => None,
        }
    }
}

/// The parsed payload. Arguments stay as PostgreSQL wrote them, so that numbers keep their digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    function: String,
    args: RawJson,
}

impl Call {
    /// For a declared kind: the payload holds the arguments.
    pub(super) fn declared(function: &str, job: &Job) -> Self {
        Self { function: function.to_owned(), args: RawJson(job.payload_json.to_string()) }
    }

    /// For `jobs.sql`: the payload names the function, too.
    pub(super) fn read(job: &Job) -> Result<Self, JobError> {
        let fatal = |why: &str| JobError::Fatal(format!("the payload of {KIND} {why}"));
        let payload: BTreeMap<String, &RawValue> = serde_json::from_str(&job.payload_json)
            .map_err(|error| fatal(&format!("cannot be read: {error}")))?;
        let strange = payload.keys().find(|key| !["function", "args", SCHEDULED_AT].contains(&key.as_str()));
        if let Some(key) = strange {
            return Err(fatal(&format!("has an unknown key \"{key}\"; arguments belong into \"args\"")));
        }
        let function = payload.get("function").and_then(|name| serde_json::from_str(name.get()).ok());
        let function = function.ok_or_else(|| fatal("names no function: {\"function\": \"public.bump\"}"))?;
        let mut args: BTreeMap<String, &RawValue> = match payload.get("args") {
            None => BTreeMap::new(),
            Some(args) => serde_json::from_str(args.get())
                .map_err(|_| fatal("has \"args\" that are not an object of arguments by name"))?,
        };
        if let Some(at) = payload.get(SCHEDULED_AT) {
            args.entry(SCHEDULED_AT.to_owned()).or_insert(*at);
        }
        let args = serde_json::to_string(&args).map_err(|error| fatal(&error.to_string()))?;
        Ok(Self { function, args: RawJson(args) })
    }

    /// The whole transaction: context, call and completion.
    pub(super) async fn complete(
        &self,
        client: &Client,
        job: &Job,
        search_path: &str,
        claims: Option<&str>,
    ) -> Result<(), CallError> {
        set_context(client, job, search_path, claims).await?;
        let statement = self.require_allowed(client).await?;
        let result = match claims {
            Some(_) => self.call(client, &statement).await,
            None => self.call_for_project(client, job).await,
        };
        let result: Option<RawJson> = result.map_err(DbError::from)?.get(0);
        client.batch_execute(CLOSE).await.map_err(DbError::from)?;
        client.batch_execute("reset role").await.map_err(DbError::from)?;
        complete_job(client, job, result.filter(|result| is_kept(job, result))).await
    }

    /// Calls with the rights of the transaction; a function without arguments gets none.
    async fn call(&self, client: &Client, statement: &str) -> Result<Row, tokio_postgres::Error> {
        let statement = client.prepare(statement).await?;
        if statement.params().is_empty() {
            return client.query_one(&statement, &[]).await;
        }
        client.query_one(&statement, &[&self.args]).await
    }

    async fn call_for_project(&self, client: &Client, job: &Job) -> Result<Row, tokio_postgres::Error> {
        let sql = "select jobs.call_for_project($1, $2, $3, $4, $5)";
        let lease = &job.lease;
        client.query_one(sql, &[&lease.worker, &lease.id, &job.id, &self.function, &self.args]).await
    }

    /// The statement of the call. Checked first, because a refusal here is permanent, whereas a failing function may
    /// be retried.
    async fn require_allowed(&self, client: &Client) -> Result<String, CallError> {
        let sql = "select jobs.call_statement($1, $2)";
        match client.query_one(sql, &[&self.function, &self.args]).await.map_err(DbError::from) {
            Ok(row) => Ok(row.get(0)),
            Err(DbError::Refused(error)) => {
                let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
                Err(JobError::Fatal(format!("{error}{hint}")).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn is_kept(job: &Job, result: &RawJson) -> bool {
    let is_small = result.0.len() <= MOST_RESULT;
    if !is_small {
        tracing::warn!(job_id = job.id, "the result of a job has more than 64 KiB and is not kept");
    }
    is_small && result.0 != "null"
}

/// Sets role, claims, search path and statement timeout, local to the transaction.
async fn set_context(
    client: &Client,
    job: &Job,
    search_path: &str,
    claims: Option<&str>,
) -> Result<(), CallError> {
    let parsed = claims.and_then(|claims| serde_json::from_str::<serde_json::Value>(claims).ok());
    let organization = parsed.as_ref().and_then(|claims| claims.get("org_id")?.as_str()).unwrap_or_default();
    let sql = "select pg_catalog.set_config('request.jwt.claims', $1, true), \
               pg_catalog.set_config('app.current_organization_id', $2, true), \
               pg_catalog.set_config('search_path', $3, true), pg_catalog.set_config('statement_timeout', $4, true), \
               pg_catalog.set_config('role', $5, true)";
    let timeout = job.timeout.max(Duration::from_millis(1)).as_millis().to_string();
    let role = if claims.is_some() { "authenticated" } else { "none" };
    client
        .execute(sql, &[&claims.unwrap_or_default(), &organization, &search_path, &timeout, &role])
        .await
        .map_err(DbError::from)?;
    Ok(())
}

/// Completes the job in the same transaction, or rolls back if another worker has taken the job over.
async fn complete_job(client: &Client, job: &Job, result: Option<RawJson>) -> Result<(), CallError> {
    let sql = "select jobs.complete_call($1, $2, $3, $4)";
    let row = client
        .query_one(sql, &[&job.lease.worker, &job.lease.id, &job.id, &result])
        .await
        .map_err(DbError::from)?;
    match row.get::<_, Option<bool>>(0) {
        Some(true) => Ok(()),
        _ => Err(JobError::Retry("another worker has taken the job over".to_owned()).into()),
    }
}
