//! The handler of `mail.webhook`: posts one event, signed, to the customer's webhook. A trigger enqueues the jobs
//! together with the events; signing and sending is left to `rowhouse_jobs::outbound`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use rowhouse_db::Transaction;
use rowhouse_db::{Control, DbError};
use rowhouse_jobs::outbound::{Message, Outbound, SendError};
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JobKind, JobResult, Registry, http_handler};
use rowhouse_kernel::Rng;
use rowhouse_kernel::{Operation, Secret, SharedClock};
use serde_json::Value;
use tokio_postgres::Client;

use crate::error::MailError;
use crate::settings::MailSettings;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Posts events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Webhook {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    control: Control,
    outbound: Outbound,
    target: Option<Target>,
    clock: SharedClock,
}

#[derive(Debug)]
struct Target {
    url: String,
    secret: Secret,
}

impl Webhook {
    /// A handler as configured; without a URL nothing is posted.
    ///
    /// # Errors
    /// [`MailError::Unusable`] if there is a URL and no secret.
    pub fn new(
        control: Control,
        settings: &MailSettings,
        outbound: Outbound,
        clock: SharedClock,
    ) -> Result<Self, MailError> {
        let target = match (&settings.webhook_url, &settings.webhook_secret) {
            (None, _) => None,
            (Some(url), Some(secret)) => Some(Target { url: url.clone(), secret: secret.clone() }),
            (Some(_), None) => {
                let why = "mail.webhook_secret: not set; the receiver knows by it that an event is from here";
                return Err(MailError::Unusable(why.to_owned()));
            }
        };
        Ok(Self { inner: Arc::new(Inner { control, outbound, target, clock }) })
    }

    /// The kind `mail.webhook`: twelve attempts over about a day.
    #[must_use]
    pub fn kind() -> JobKind {
        JobKind {
            max_attempts: 12,
            timeout: 2 * TIMEOUT,
            backoff: Duration::from_secs(5),
            growth: 300,
            max_backoff: Duration::from_secs(6 * 3600),
            ..JobKind::new(crate::WEBHOOK)
        }
    }

    /// Adds it.
    pub fn register(&self, registry: &mut Registry) {
        registry.add(Self::kind(), self.clone());
    }

    /// Stores in the database whether events are to be posted; idempotent.
    ///
    /// # Errors
    /// The database's.
    pub fn declare(&self) -> BoxFuture<'_, Result<(), DbError>> {
        let is_told = self.inner.target.is_some();
        let write = async move |tx: &Transaction<'_>| {
            let sql = match is_told {
                true => "insert into mail.hook default values on conflict do nothing",
                false => "delete from mail.hook",
            };
            tx.execute(sql, &[]).await?;
            Ok::<(), DbError>(())
        };
        Box::pin(async move { self.inner.control.run_tx(&Operation::system("mail_hook"), write).await })
    }

    async fn post(&self, job: &Job) -> JobResult {
        let event = job.payload.get("event").and_then(Value::as_i64);
        let event = event.ok_or_else(|| JobError::Fatal("the payload names no event".to_owned()))?;
        let Some(target) = &self.inner.target else { return Ok(None) };
        let find = async move |client: &Client| {
            let row = client.query_opt(include_str!("../sql/event.sql"), &[&event]).await?;
            Ok(row.map(|row| (row.get::<_, Value>(0), row.get::<_, Option<String>>(1))))
        };
        let found = self.inner.control.statement(&Operation::system("mail_event"), find).await;
        // A deleted mail's event is not posted.
        let Some((body, request_id)) = found.map_err(|error: DbError| JobError::Retry(error.to_string()))?
        else {
            return Ok(None);
        };
        let id = format!("mail_event_{event}");
        let message = Message {
            url: &target.url,
            id: &id,
            body: body.to_string().into_bytes(),
            secret: &target.secret,
            request_id: request_id.as_deref(),
            timeout: TIMEOUT,
        };
        match self.inner.outbound.send(message, &*self.inner.clock).await {
            // The response's body is ignored.
            Ok(answer) => http_handler::outcome(&answer).map(|_| None),
            Err(SendError::Address(error) | SendError::NoAnswer(error)) => Err(JobError::Retry(error)),
        }
    }
}

impl Handler for Webhook {
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(self.post(job))
    }
}

/// A new secret in the format of Standard Webhooks: `whsec_` and base64 of 256 random bits.
pub(crate) fn new_secret(rng: &dyn Rng) -> String {
    let mut bytes = [0_u8; 32];
    rng.fill(&mut bytes);
    format!("whsec_{}", STANDARD.encode(bytes))
}
