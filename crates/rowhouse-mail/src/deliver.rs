//! The handler of `mail.send`: one attempt for one recipient.
//!
//! A recipient's final state is written in one transaction, and a run that finds it does nothing. So a crash can
//! repeat only the SMTP session that was under way, and with the same Message-ID: delivery is at least once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, histogram};
use rowhouse_db::{Control, DbError};
use rowhouse_jobs::builtin::Tidy;
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JobKind, JobResult, Registry};
use rowhouse_kernel::{Operation, SharedClock};

use crate::breaker::{CircuitBreaker, Permit};
use crate::dkim::Signer;
use crate::error::MailError;
use crate::outcome::{AttemptOutcome, after, concerns_all};
use crate::prune::Prune;
use crate::settings::MailSettings;
use crate::store::{self, AttemptStart, Copy, FinalState};
use crate::transport::{Envelope, Transport};

/// A run may wait for a connection to the relay, which others use.
const RUN_TIMEOUT: Duration = Duration::from_secs(600);

/// Consecutive failures of the relay before health reports it: about three seconds.
const SICK: u32 = 3;

/// Delivers mails. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Delivery {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    control: Control,
    settings: MailSettings,
    transport: Transport,
    breaker: CircuitBreaker,
    signer: Option<Signer>,
    clock: SharedClock,
}

impl Delivery {
    /// A handler as configured.
    ///
    /// # Errors
    /// [`MailError::Unusable`] if the settings cannot work.
    pub fn new(control: Control, settings: MailSettings, clock: SharedClock) -> Result<Self, MailError> {
        let (transport, signer) = (Transport::new(&settings)?, Signer::new(&settings)?);
        let breaker = CircuitBreaker::new(settings.relay_connections);
        Ok(Self { inner: Arc::new(Inner { control, settings, transport, breaker, signer, clock }) })
    }

    /// The kind `mail.send`.
    #[must_use]
    pub fn kind() -> JobKind {
        // Many runs only wait for a slot or for the relay; delivery attempts are counted in the recipient's row.
        JobKind { max_attempts: 1000, timeout: RUN_TIMEOUT, is_urgent: true, ..JobKind::new(crate::SEND) }
    }

    /// Adds the kinds `mail.send`, `mail.prune` and `mail.sweep`.
    pub fn register(&self, registry: &mut Registry) {
        registry.add(Self::kind(), self.clone());
        let prune = Prune { control: self.inner.control.clone(), retention: self.inner.settings.retention };
        registry.add(Tidy::kind(crate::PRUNE), prune);
        registry.add(Tidy::kind(crate::SWEEP), Tidy::new(&self.inner.control, "select mail.sweep()"));
    }

    /// Whether the relay could be used lately by this process.
    ///
    /// # Errors
    /// The number of consecutive failures of the relay.
    pub fn check(&self) -> Result<(), String> {
        match self.inner.breaker.failures() {
            failures if failures < SICK => Ok(()),
            failures => Err(format!("the relay could not be used {failures} times in a row; mails wait")),
        }
    }

    async fn attempt(&self, job: &Job) -> JobResult {
        let recipient = job.payload.get("recipient").and_then(serde_json::Value::as_i64);
        let recipient =
            recipient.ok_or_else(|| JobError::Fatal("the payload names no recipient".to_owned()))?;
        let permit = self.inner.breaker.acquire().await.ok_or(JobError::Release)?;
        let (attempt, outcome) = match self.begin(recipient).await? {
            AttemptStart::Ended => return Ok(None),
            AttemptStart::Wait(wait) => {
                return Err(JobError::RetryAfter(wait, "waits for its turn".to_owned()));
            }
            AttemptStart::Suppressed(attempt) => (
                attempt,
                AttemptOutcome::Ended(FinalState::Suppressed, "the address is suppressed".to_owned()),
            ),
            AttemptStart::Go(attempt, copy) => {
                (attempt, self.talk(permit, recipient, attempt, copy, job).await)
            }
        };
        self.end(recipient, attempt, outcome).await
    }

    async fn begin(&self, recipient: i64) -> Result<AttemptStart, JobError> {
        let settings = &self.inner.settings;
        let (rate, cap) = (settings.rate_per_minute, settings.daily_cap);
        let begin =
            async move |client: &tokio_postgres::Client| store::begin(client, recipient, rate, cap).await;
        self.inner
            .control
            .statement(&Operation::system("mail_begin"), begin)
            .await
            .map_err(|error| lost(&error))
    }

    async fn talk(
        &self,
        permit: Permit<'_>,
        recipient: i64,
        attempt: u16,
        copy: Copy,
        job: &Job,
    ) -> AttemptOutcome {
        let envelope = match Envelope::new(&copy.envelope_from, &copy.address) {
            Ok(envelope) => envelope,
            Err(reply) => return AttemptOutcome::failed(reply),
        };
        // The platform's key signs the platform's mails only, not those that a tenant's software has composed.
        let signer = self.inner.signer.as_ref().filter(|_| copy.is_platforms);
        let signed = match signer.map(|signer| signer.sign(&copy.mime)) {
            Some(Ok(signed)) => signed,
            Some(Err(reply)) => return AttemptOutcome::failed(reply),
            None => copy.mime,
        };
        let result = self.inner.transport.deliver(recipient, &envelope, &signed).await;
        match &result {
            Err(failure) if concerns_all(failure) => permit.failed(),
            _ => permit.succeeded(),
        }
        match (&result, &self.inner.transport) {
            (Ok(_), Transport::Capture) => AttemptOutcome::Ended(FinalState::Captured, String::new()),
            (Ok(reply), _) => {
                let age = self.inner.clock.now() - copy.created_at;
                histogram!("rowhouse_mail_delivery_seconds").record(age.as_seconds_f64().max(0.0));
                AttemptOutcome::Ended(FinalState::Sent, reply.clone())
            }
            (Err(failure), _) => {
                tracing::warn!(
                    recipient, attempt, request_id = copy.request_id, message_id = copy.message_id, %failure,
                    "a mail was not handed over"
                );
                after(failure, attempt, job)
            }
        }
    }

    /// Writes the outcome and derives the job's result from it.
    async fn end(&self, recipient: i64, attempt: u16, outcome: AttemptOutcome) -> JobResult {
        let (control, lifetime) = (&self.inner.control, self.inner.settings.suppression_lifetime);
        match outcome {
            AttemptOutcome::Ended(end, reply) => {
                counter!("rowhouse_mail_ended_total", "outcome" => end.name()).increment(1);
                let write = async move |client: &tokio_postgres::Client| {
                    store::end(client, recipient, attempt, end, &reply, lifetime).await
                };
                control
                    .statement(&Operation::system("mail_end"), write)
                    .await
                    .map_err(|error| lost(&error))?;
                Ok(None)
            }
            AttemptOutcome::Again { after, reply, counts } => {
                counter!("rowhouse_mail_delayed_total").increment(1);
                let text = reply.clone();
                let write = async move |client: &tokio_postgres::Client| {
                    store::delay(client, recipient, attempt, counts, &text, after).await
                };
                control
                    .statement(&Operation::system("mail_delay"), write)
                    .await
                    .map_err(|error| lost(&error))?;
                Err(JobError::RetryAfter(after, reply))
            }
        }
    }
}

impl Handler for Delivery {
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(self.attempt(job))
    }

    fn room(&self) -> usize {
        self.inner.breaker.room(Instant::now())
    }
}

fn lost(error: &DbError) -> JobError {
    JobError::Retry(error.to_string())
}
