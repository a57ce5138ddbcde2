//! Taking back what was done for a tenant, in reverse order. Each compensation may be repeated, and is one transaction with the note
//! that the step is undone.

use rowhouse_db::{DbError, Transaction};
use rowhouse_jobs::{Job, JobError, JobResult};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::error::StepError;
use crate::hook::Told;
use crate::run::{Provisioner, operation, retry};
use crate::step::Step;
use crate::store::{self, Subject};
use crate::work;

impl Provisioner {
    pub(crate) async fn undo(&self, tenant: Uuid, job: &Job) -> JobResult {
        let begin = async move |tx: &Transaction<'_>| store::begin_run(tx, tenant, true).await;
        let begun =
            self.control.run_tx(&operation("provision.begin_undo", job), begin).await.map_err(retry)?;
        if begun.is_none() {
            return Ok(None);
        }
        let taken = async move |client: &Client| store::steps(client, tenant, &["done", "begun"]).await;
        let mut steps =
            self.control.statement(&operation("provision.taken", job), taken).await.map_err(retry)?;
        steps.reverse();
        let is_gone_too = !steps.iter().any(|(step, _)| *step == Step::Records);
        // A new tenant is removed even if nothing has been done for it.
        steps.extend(is_gone_too.then_some((Step::Records, Value::Null)));
        for (step, result) in steps {
            match self.take_back(tenant, step, result, job).await {
                Ok(()) => {}
                Err(StepError::Stopped) => return Ok(None),
                Err(error) => return Err(self.note(tenant, step, &error, job).await),
            }
        }
        let end = async move |tx: &Transaction<'_>| {
            if store::end_run(tx, tenant, true).await? {
                store::record(tx, tenant, "provisioning_undone", &json!({})).await?;
            }
            Ok::<_, DbError>(())
        };
        self.control.run_tx(&operation("provision.end_undo", job), end).await.map_err(retry)?;
        Ok(None)
    }

    async fn take_back(&self, tenant: Uuid, step: Step, result: Value, job: &Job) -> Result<(), StepError> {
        if let (Step::Hook, Some(url)) = (step, self.hook.url()) {
            let find = async move |client: &Client| store::subject(client, tenant).await;
            let subject = self.control.statement(&operation("provision.subject", job), find).await?;
            self.hook.post(&url, Told::Undo, &subject.ok_or(StepError::Stopped)?).await?;
        }
        let this = self.clone();
        let undo = async move |tx: &Transaction<'_>| {
            if !store::lock_run(tx, tenant, "undoing").await? {
                return Err(StepError::Stopped);
            }
            let subject = store::subject(tx, tenant).await?.ok_or(StepError::Stopped)?;
            let details = this.compensate(tx, step, &subject, &result).await?;
            store::set_step(tx, tenant, step, "undone", None).await?;
            store::record(tx, tenant, "provisioning_step_undone", &details).await?;
            Ok::<_, StepError>(())
        };
        self.control.run_tx(&operation("provision.undo_step", job), undo).await
    }

    async fn compensate(
        &self,
        tx: &Client,
        step: Step,
        subject: &Subject,
        result: &Value,
    ) -> Result<Value, StepError> {
        let mut details = json!({ "step": step.name() });
        match step {
            Step::Records => details["tenant"] = json!(work::undo_records(tx, subject).await?),
            Step::Roles => work::undo_roles(tx, subject, result).await?,
            Step::Defaults => work::undo_defaults(tx, subject, result).await?,
            Step::Storage => work::undo_storage(tx, subject).await?,
            Step::Hook => {
                self.hook.call(tx, Told::Undo, subject).await?;
            }
            // A letter that has gone out stays there.
            Step::Welcome => {}
        }
        Ok(details)
    }

    async fn note(&self, tenant: Uuid, step: Step, error: &StepError, job: &Job) -> JobError {
        let why = error.to_string();
        tracing::error!(%tenant, step = step.name(), error = why, "a step of provisioning could not be taken back");
        let text = why.clone();
        let note = async move |tx: &Transaction<'_>| store::note_failure(tx, tenant, step, &text).await;
        match self.control.run_tx(&operation("provision.note_failure", job), note).await {
            Ok(()) => JobError::Retry(format!("{}: {why}", step.name())),
            Err(error) => retry(error),
        }
    }
}
