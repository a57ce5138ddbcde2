//! Hooks that are told what was done: letters to be sent, users who were made. Each is a job in the transaction of what it
//! tells, so nothing is told that was rolled back, and a hook that fails undoes nothing and is called again.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rowhouse_db::Transaction;
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JobKind, JobResult, NewJob, enqueue};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Hook, Hooks};
use crate::fault::{Fault, HookError};
use crate::request::Client;

/// The kind of these jobs.
const KIND: &str = "auth.hook";
/// What events are sealed as: they hold the tokens of letters, and jobs can be listed.
const LABEL: &str = "jobs/auth.hook";
/// Largest event in bytes; sealed and as base64 it fits into a job.
const MOST_EVENT: usize = 180_000;
/// Time that a run has beside the hook.
const BESIDE: Duration = Duration::from_secs(10);

impl Hooks {
    /// Tells a hook something after the commit; nothing if it is not set. Its event is like that of [`Hooks::call`].
    pub(crate) async fn tell(
        &self,
        tx: &Transaction<'_>,
        hook: Hook,
        input: impl Serialize,
        client: &Client,
    ) -> Result<(), Fault> {
        if !self.has(hook) {
            return Ok(());
        }
        let event = bounded(self.event(hook, input, client)?)?;
        let sealed = STANDARD.encode(self.envelope.seal(&event, LABEL, &*self.rng)?);
        let payload = json!({ "hook": hook.name(), "event": sealed });
        enqueue(tx, &NewJob { priority: 1, ..NewJob::new(KIND, payload) }).await?;
        Ok(())
    }

    /// The kind of these jobs: twelve attempts over some three hours, the first ones within seconds.
    pub(crate) fn job_kind(longest_call: Duration) -> JobKind {
        JobKind {
            max_attempts: 12,
            timeout: longest_call + BESIDE,
            max_backoff: Duration::from_secs(3600),
            is_urgent: true,
            ..JobKind::new(KIND)
        }
    }

    fn open(&self, job: &Job) -> Result<(Hook, Value), JobError> {
        let text = |key: &str| job.payload.get(key).and_then(Value::as_str).unwrap_or_default();
        let hook = Hook::TOLD.into_iter().find(|hook| hook.name() == text("hook"));
        let hook = hook.ok_or_else(|| JobError::Fatal("the payload names no hook".to_owned()))?;
        let sealed = STANDARD.decode(text("event")).unwrap_or_default();
        let opened =
            self.envelope.open(&sealed, LABEL).map_err(|error| JobError::Fatal(error.to_string()))?;
        let event = serde_json::from_slice(&opened).map_err(|error| JobError::Fatal(error.to_string()))?;
        Ok((hook, event))
    }

    async fn run_job(&self, job: &Job) -> JobResult {
        let (hook, event) = self.open(job)?;
        let target = self.target(hook);
        let target = target.ok_or_else(|| JobError::Fatal(format!("{} is not set any more", hook.name())))?;
        let client = Client::of_job(job.request_id.as_deref(), &self.clock);
        match self.invoke(hook, target, event, &client).await {
            Ok(_) => Ok(None),
            // What it has decided it decides again.
            Err(Fault::Hook(error @ HookError::Refused { .. })) => Err(JobError::Fatal(error.to_string())),
            Err(error) => Err(JobError::Retry(error.to_string())),
        }
    }
}

/// The event as JSON. What users and their providers have written is left out where it is too long.
fn bounded(mut event: Value) -> Result<Vec<u8>, Fault> {
    let whole = serde_json::to_vec(&event).map_err(Fault::Json)?;
    if whole.len() <= MOST_EVENT {
        return Ok(whole);
    }
    event["user"]["user_metadata"] = json!({});
    event["user"]["identities"] = json!([]);
    serde_json::to_vec(&event).map_err(Fault::Json)
}

/// Runs these jobs.
#[derive(Debug)]
pub(crate) struct HookJobs(pub(crate) Arc<Hooks>);

impl Handler for HookJobs {
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(self.0.run_job(job))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_that_is_too_long_loses_what_users_have_written() {
        let event = |metadata: Value, identities: Value| {
            let user = json!({ "id": "1", "user_metadata": metadata, "identities": identities });
            json!({ "user": user, "email_data": { "token": "1" } })
        };
        let kept = |event| serde_json::from_slice::<Value>(&bounded(event).unwrap()).unwrap();
        let short = event(json!({ "a": "b" }), json!([{}]));
        assert_eq!(kept(short.clone()), short);
        let long = event(json!({ "a": "b".repeat(MOST_EVENT) }), json!([{}]));
        assert_eq!(kept(long), event(json!({}), json!([])));
    }
}
