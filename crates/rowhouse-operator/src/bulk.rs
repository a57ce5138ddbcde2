//! Runs bulk jobs: batch after batch, each a transaction, so that a process that dies repeats nothing.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rowhouse_db::{Control, DbError, Transaction, TransactionError};
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JobKind, JobResult};
use rowhouse_kernel::{
    Actor, Caller, OrganizationId, Origin, SERVICE_ROLE, SharedClock, SharedRng, UserId, new_id,
};
use rowhouse_tenancy::Inviter;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::flow::bulk::KIND;
use crate::store::bulk::{self as store, Action};
use crate::store::invite::{self, Next};

/// Items of one transaction.
const BATCH: i32 = 100;

/// Runs them.
pub(crate) struct BulkJobs {
    pub(crate) control: Control,
    /// Not set in a process without letters.
    pub(crate) inviter: Arc<OnceLock<Inviter>>,
    pub(crate) clock: SharedClock,
    pub(crate) rng: SharedRng,
}

/// An hour for a run; the next one goes on where it ended.
pub(crate) fn kind() -> JobKind {
    JobKind { timeout: Duration::from_secs(3600), concurrency: Some(2), ..JobKind::new(KIND) }
}

impl Handler for BulkJobs {
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(self.run_job(job))
    }
}

impl BulkJobs {
    async fn run_job(&self, job: &Job) -> JobResult {
        let id = job.payload.get("bulk_job_id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let id: Uuid = id.ok_or_else(|| JobError::Fatal("the payload names no bulk job".to_owned()))?;
        let find = async move |client: &Client| store::find(client, id).await;
        let operation = Origin::system(&self.clock).operation("operators.find_bulk_job");
        let Some(found) = self.control.statement(&operation, find).await.map_err(again)? else {
            return Ok(None);
        };
        let origin = self.origin(&found.created_by, job.request_id.as_deref());
        let mut batches = 0_u32;
        while self.step(id, found.action, &origin).await? {
            batches += 1;
        }
        Ok(Some(json!({ "batches": batches }).into()))
    }

    /// Whoever has asked for it does it.
    fn origin(&self, created_by: &str, request_id: Option<&str>) -> Origin {
        let origin = Origin::system(&self.clock);
        Origin { actor: actor(created_by), request_id: request_id.map(Into::into), ..origin }
    }

    /// Whether there is more to do.
    async fn step(&self, id: Uuid, action: Action, origin: &Origin) -> Result<bool, JobError> {
        if action == Action::Invite {
            return self.invite_next(id, origin).await;
        }
        let batch = async move |tx: &Transaction<'_>| store::do_batch(tx, id, BATCH).await;
        self.control.run_tx(&origin.operation("operators.bulk_batch"), batch).await.map_err(again)
    }

    /// The invitation and its outcome commit together. One that is refused, or of a dry run, is rolled back first.
    async fn invite_next(&self, id: Uuid, origin: &Origin) -> Result<bool, JobError> {
        let inviter = self.inviter.get().cloned();
        let inviter = inviter.ok_or_else(|| JobError::Retry("this process writes no letters".to_owned()))?;
        let (invitation, caller) = (new_id(&*self.clock, &*self.rng), service());
        let invite = async move |tx: &Transaction<'_>| -> Result<bool, Step> {
            let Some(next) = invite::lock_next(tx, id).await? else { return Ok(false) };
            let (organization, role) = place(&next);
            let invited = inviter.invite(tx, &caller, organization, (invitation, &next.email, &role)).await;
            match invited {
                Ok(()) if !next.dry_run => Ok(invite::end(tx, id, next.number, None).await?),
                Ok(()) => Err(Step::Ended(next.number, None)),
                Err(problem) if !problem.status.is_server_error() => {
                    Err(Step::Ended(next.number, Some(problem.detail)))
                }
                Err(problem) => Err(Step::Failed(problem.detail)),
            }
        };
        let (number, why) =
            match self.control.run_tx(&origin.operation("operators.bulk_invite"), invite).await {
                Ok(goes_on) => return Ok(goes_on),
                Err(Step::Ended(number, why)) => (number, why),
                Err(Step::Failed(why)) => return Err(JobError::Retry(why)),
                Err(Step::Db(error)) => return Err(again(error)),
            };
        let end = async move |tx: &Transaction<'_>| invite::end(tx, id, number, why.as_deref()).await;
        self.control.run_tx(&origin.operation("operators.bulk_end_item"), end).await.map_err(again)
    }
}

/// Why an invitation is rolled back.
#[derive(Debug)]
enum Step {
    /// The item has this outcome.
    Ended(i32, Option<String>),
    /// To be tried again.
    Failed(String),
    Db(DbError),
}

impl From<DbError> for Step {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl TransactionError for Step {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
fn again(error: DbError) -> JobError {
    JobError::Retry(error.to_string())
}

/// The invitation is made with every right: who has asked for it is looked up by `invite::lock_next`.
fn service() -> Caller {
    Caller { role: SERVICE_ROLE.into(), claims: r#"{"role":"service_role"}"#.into(), ..Caller::anonymous() }
}

fn place(next: &Next) -> (OrganizationId, String) {
    let text = |name: &str| next.parameters[name].as_str().unwrap_or_default().to_owned();
    (OrganizationId(text("organization").parse().unwrap_or_default()), text("role"))
}

/// An actor by the text that the audit log has.
fn actor(text: &str) -> Actor {
    match (text.parse(), text.strip_prefix("operator:")) {
        (Ok(id), _) => Actor::User(UserId(id)),
        (_, Some(name)) => Actor::Operator(name.into()),
        _ => Actor::Role(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actor_is_who_has_asked() {
        let id = Uuid::from_u128(7);
        let all =
            [Actor::User(UserId(id)), Actor::Operator("ada".into()), Actor::Role("service_role".into())];
        for known in all {
            assert_eq!(actor(&known.to_string()), known);
        }
    }
}
