//! The job that provisions a tenant: its steps in their order, each done once. A run that fails is repeated after a pause, and rolled
//! back after the last one.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::{Control, Transaction};
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JobKind, JobResult};
use rowhouse_kernel::Operation;
use rowhouse_mail::Mailer;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::error::StepError;
use crate::hook::{Hook, Told};
use crate::settings::ProvisionSettings;
use crate::step::Step;
use crate::store::{self, Subject};
use crate::{welcome, work};

/// Provisions a tenant; payload `{"tenant": id}`.
pub const RUN: &str = "provision.run";
/// Rolls a tenant's provisioning back; payload `{"tenant": id}`.
pub const UNDO: &str = "provision.undo";
/// Runs of the job that are cut off from outside, beside those that fail.
const CUT_OFF: u16 = 20;
/// Time that a run has beside the hook.
const BESIDE: Duration = Duration::from_secs(60);
const MAX_BACKOFF: Duration = Duration::from_secs(600);

/// What steps need.
#[derive(Clone)]
pub struct Provisioner {
    /// The platform's database.
    pub control: Control,
    /// As configured.
    pub settings: Arc<ProvisionSettings>,
    /// Writes letters.
    pub mailer: Mailer,
    /// Where the front end is, for letters.
    pub site_url: Arc<str>,
    /// Calls the project.
    pub hook: Hook,
}

impl Provisioner {
    /// The kind of either job.
    #[must_use]
    pub fn kind(name: &str, settings: &ProvisionSettings) -> JobKind {
        let attempts = u16::try_from(settings.max_attempts).unwrap_or(100);
        JobKind {
            max_attempts: attempts.saturating_add(CUT_OFF),
            timeout: settings.hook_timeout + BESIDE,
            backoff: settings.backoff,
            max_backoff: MAX_BACKOFF.max(settings.backoff),
            is_urgent: true,
            ..JobKind::new(name)
        }
    }

    async fn provision(&self, tenant: Uuid, job: &Job) -> JobResult {
        let begin = async move |tx: &Transaction<'_>| store::begin_run(tx, tenant, false).await;
        let begun = self.control.run_tx(&operation("provision.begin", job), begin).await.map_err(retry)?;
        let Some(attempt) = begun else { return Ok(None) };
        let all = u32::try_from(attempt).unwrap_or(u32::MAX);
        if all > self.settings.max_attempts.saturating_add(u32::from(CUT_OFF)) {
            self.give_up(tenant, "it was cut off too often", job).await?;
            return Ok(None);
        }
        let pending = async move |client: &Client| store::steps(client, tenant, &["pending", "begun"]).await;
        let steps =
            self.control.statement(&operation("provision.steps", job), pending).await.map_err(retry)?;
        for (at, (step, _)) in steps.iter().enumerate() {
            match self.take(tenant, *step, job).await {
                Ok(()) => self.report(job, *step, at + 1, steps.len()).await,
                Err(StepError::Stopped) => return Ok(None),
                Err(error) => return self.fail(tenant, *step, &error, all, job).await,
            }
        }
        let end = async move |tx: &Transaction<'_>| {
            if store::end_run(tx, tenant, false).await? {
                store::record(tx, tenant, "provisioning_done", &json!({})).await?;
            }
            Ok::<_, rowhouse_db::DbError>(())
        };
        self.control.run_tx(&operation("provision.end", job), end).await.map_err(retry)?;
        Ok(Some(json!({ "steps": steps.len() }).into()))
    }

    /// Takes a step: what it does and that it was done are one commit. A call over HTTP is between two.
    async fn take(&self, tenant: Uuid, step: Step, job: &Job) -> Result<(), StepError> {
        if let (Step::Hook, Some(url)) = (step, self.hook.url()) {
            let begin = async move |tx: &Transaction<'_>| {
                let subject = running(tx, tenant).await?;
                store::set_step(tx, tenant, Step::Hook, "begun", None).await?;
                Ok::<_, StepError>(subject)
            };
            let subject = self.control.run_tx(&operation("provision.begin_hook", job), begin).await?;
            self.hook.post(&url, Told::Provision, &subject).await?;
        }
        let this = self.clone();
        let take = async move |tx: &Transaction<'_>| {
            let subject = running(tx, tenant).await?;
            let result = this.work(tx, step, &subject).await?;
            store::set_step(tx, tenant, step, "done", Some(&result)).await?;
            let details = json!({ "step": step.name(), "result": result });
            store::record(tx, tenant, "provisioning_step_done", &details).await?;
            Ok::<_, StepError>(())
        };
        self.control.run_tx(&operation("provision.step", job), take).await
    }

    async fn work(&self, tx: &Client, step: Step, subject: &Subject) -> Result<Value, StepError> {
        match step {
            Step::Records => work::records(tx, subject).await,
            Step::Roles => work::roles(tx, subject).await,
            Step::Defaults => work::defaults(tx, subject, &self.settings).await,
            Step::Storage => work::storage(tx, subject).await,
            Step::Hook => {
                let is_called = self.hook.call(tx, Told::Provision, subject).await?;
                Ok(json!({ "called": is_called || self.hook.url().is_some() }))
            }
            Step::Welcome if self.settings.welcome => {
                welcome::send(tx, &self.mailer, &self.site_url, subject).await
            }
            Step::Welcome => Ok(json!({ "letters": 0 })),
        }
    }

    /// Notes the failure; the last one, and one that stays, begin the rollback.
    async fn fail(&self, tenant: Uuid, step: Step, error: &StepError, attempt: u32, job: &Job) -> JobResult {
        let why = error.to_string();
        let text = why.clone();
        let note = async move |tx: &Transaction<'_>| store::note_failure(tx, tenant, step, &text).await;
        self.control.run_tx(&operation("provision.note_failure", job), note).await.map_err(retry)?;
        tracing::warn!(%tenant, step = step.name(), error = why, "a step of provisioning has failed");
        if attempt < self.settings.max_attempts && !matches!(error, StepError::Fatal(_)) {
            return Err(JobError::Retry(format!("{}: {why}", step.name())));
        }
        self.give_up(tenant, &format!("{}: {why}", step.name()), job).await?;
        Ok(Some(json!({ "failed": step.name() }).into()))
    }

    async fn give_up(&self, tenant: Uuid, why: &str, job: &Job) -> Result<(), JobError> {
        let why = why.to_owned();
        let undo = async move |tx: &Transaction<'_>| store::begin_undo(tx, tenant, &why).await;
        self.control.run_tx(&operation("provision.give_up", job), undo).await.map_err(retry)?;
        Ok(())
    }

    /// Shows how far the job is; that it cannot be shown stops nothing.
    async fn report(&self, job: &Job, step: Step, done: usize, all: usize) {
        #[expect(clippy::cast_precision_loss, reason = "at most six steps")]
        let percent = 100.0 * done as f32 / all as f32;
        let id = job.id;
        let show = async move |client: &Client| {
            rowhouse_jobs::progress(client, id, percent, Some(step.name())).await
        };
        if let Err(error) = self.control.statement(&operation("provision.progress", job), show).await {
            tracing::debug!(%error, "the progress of a job could not be written");
        }
    }
}

/// The tenant of a run that goes on, locked until the transaction ends.
async fn running(tx: &Client, tenant: Uuid) -> Result<Subject, StepError> {
    if !store::lock_run(tx, tenant, "running").await? {
        return Err(StepError::Stopped);
    }
    store::subject(tx, tenant).await?.ok_or(StepError::Stopped)
}

/// An operation of the job; the audit log has the request that has enqueued it.
pub(crate) fn operation(name: &'static str, job: &Job) -> Operation {
    Operation::system(name).for_request(job.request_id.as_deref())
}

pub(crate) fn retry(error: impl std::fmt::Display) -> JobError {
    JobError::Retry(error.to_string())
}

/// The tenant that a job names.
pub(crate) fn tenant_of(job: &Job) -> Result<Uuid, JobError> {
    let id = job.payload.get("tenant").and_then(Value::as_str).and_then(|text| text.parse().ok());
    id.ok_or_else(|| JobError::Fatal("the payload names no tenant".to_owned()))
}

impl Handler for Provisioner {
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(async move {
            let tenant = tenant_of(job)?;
            if &*job.kind == UNDO { self.undo(tenant, job).await } else { self.provision(tenant, job).await }
        })
    }
}
