//! Kinds with `handler = "http"`: a signed POST, and the job's result by its response.

use rowhouse_kernel::{Secret, SharedClock};
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::outbound::{Message, Outbound, OutboundResponse, SendError};
use crate::{Handler, HandlerFuture, Job, JobError, JobResult, JsonText};

/// Longest part of a refusal's body in the job's error, in characters.
const MOST_REASON: usize = 500;

/// Posts jobs of one kind to one URL.
#[derive(Debug)]
pub struct HttpHandler {
    outbound: Outbound,
    url: String,
    secret: Secret,
    clock: SharedClock,
}

impl HttpHandler {
    /// Posts to `url`, signed with `secret`.
    #[must_use]
    pub fn new(outbound: Outbound, url: String, secret: Secret, clock: SharedClock) -> Self {
        Self { outbound, url, secret, clock }
    }

    async fn post(&self, job: &Job) -> JobResult {
        let id = format!("job_{}", job.id);
        let message = Message {
            url: &self.url,
            id: &id,
            body: body(job).map_err(|error| JobError::Fatal(error.to_string()))?,
            secret: &self.secret,
            request_id: job.request_id.as_deref(),
            timeout: job.timeout,
        };
        match self.outbound.send(message, &*self.clock).await {
            Ok(answer) => outcome(&answer),
            // The name or the settings may be corrected; until then the job is retried, as for a service that is down.
            Err(SendError::Address(error) | SendError::NoAnswer(error)) => Err(JobError::Retry(error)),
        }
    }
}

impl Handler for HttpHandler {
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(self.post(job))
    }
}

#[derive(Serialize)]
struct Body<'a> {
    id: i64,
    kind: &'a str,
    queue: &'a str,
    tenant_id: Option<Uuid>,
    attempt: u16,
    /// As it was enqueued: numbers are not rounded.
    payload: &'a RawValue,
    enqueued_at: Option<String>,
}

fn body(job: &Job) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Body {
        id: job.id,
        kind: &job.kind,
        queue: &job.queue,
        tenant_id: job.tenant.map(|tenant| tenant.0),
        attempt: job.attempt,
        payload: serde_json::from_str(&job.payload_json)?,
        enqueued_at: job.enqueued_at.format(&Rfc3339).ok(),
    })
}

/// 2xx is done, 410 and 422 are permanent failures, 429 and 503 may carry Retry-After, everything else is retried.
///
/// # Errors
/// The failure that follows from the response.
pub fn outcome(answer: &OutboundResponse) -> JobResult {
    match (answer.status, answer.retry_after) {
        (200..=299, _) if answer.is_cut => Ok(None),
        // A body that is not JSON is not stored as result.
        (200..=299, _) => {
            let result = serde_json::from_slice::<Box<RawValue>>(&answer.body).ok().map(JsonText::from);
            Ok(result.filter(|result| !result.is_null()))
        }
        (410 | 422, _) => Err(JobError::Fatal(reason(answer))),
        (429 | 503, Some(pause)) => {
            Err(JobError::RetryAfter(pause.max(Duration::from_secs(1)), reason(answer)))
        }
        (300..=399, _) => Err(JobError::Retry(format!("{}; redirects are not followed", reason(answer)))),
        _ => Err(JobError::Retry(reason(answer))),
    }
}

/// The status and the beginning of the body, without control characters.
fn reason(answer: &OutboundResponse) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let text: String = text.chars().filter(|c| !c.is_control()).take(MOST_REASON).collect();
    let text = text.trim();
    if text.is_empty() {
        format!("HTTP {}", answer.status)
    } else {
        format!("HTTP {}: {text}", answer.status)
    }
}

#[cfg(test)]
mod tests;
