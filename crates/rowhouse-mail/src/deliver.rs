//! The handler of `mail.send`: one attempt for one recipient.
//!
//! A recipient's end is written in one transaction, and a run that finds it written does nothing. So a crash can repeat
//! only the conversation that was under way, and then with the same Message-ID: at least once, never silently twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lettre::address::Envelope;
use metrics::{counter, histogram};
use rowhouse_db::{Control, DbError};
use rowhouse_jobs::builtin::Tidy;
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JobResult, Kind, Registry};
use rowhouse_kernel::settings::MailSettings;
use rowhouse_kernel::{Operation, SharedClock};

use crate::breaker::{CircuitBreaker, Permit};
use crate::dkim::Signer;
use crate::error::MailError;
use crate::prune::Prune;
use crate::reply::{MOST_ATTEMPTS, Verdict, enhanced, judge, pause};
use crate::store::{self, AttemptStart, Copy, FinalState};
use crate::transport::{Transport, TransportError};

/// A run may wait for a connection to the relay, which others use.
const RUN_TIMEOUT: Duration = Duration::from_secs(600);

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

/// How a run ends: the recipient's end, or another attempt.
enum AttemptOutcome {
    Ended(FinalState, String),
    Again { after: Duration, reply: String, counts: bool },
}

impl Delivery {
    /// A deliverer as configured.
    ///
    /// # Errors
    /// [`MailError::Unusable`] if the settings cannot work.
    pub fn new(control: Control, settings: MailSettings, clock: SharedClock) -> Result<Self, MailError> {
        let (transport, signer) = (Transport::new(&settings)?, Signer::new(&settings)?);
        let breaker = CircuitBreaker::new(settings.relay_connections);
        Ok(Self { inner: Arc::new(Inner { control, settings, transport, breaker, signer, clock }) })
    }

    /// Adds the kinds `mail.send`, `mail.prune` and `mail.sweep`.
    pub fn register(&self, registry: &mut Registry) {
        // Runs that wait for their turn or for the relay are many; attempts are counted with the recipient.
        let kind = Kind { max_attempts: 1000, timeout: RUN_TIMEOUT, ..Kind::new(crate::SEND) };
        registry.add(kind, self.clone());
        let prune = Prune { control: self.inner.control.clone(), retention: self.inner.settings.retention };
        registry.add(Tidy::kind(crate::PRUNE), prune);
        registry.add(Tidy::kind(crate::SWEEP), Tidy::new(&self.inner.control, "select mail.sweep()"));
    }

    async fn attempt(&self, job: &Job) -> JobResult {
        let recipient = job.payload.get("recipient").and_then(serde_json::Value::as_i64);
        let recipient =
            recipient.ok_or_else(|| JobError::Fatal("the payload names no recipient".to_owned()))?;
        let permit = self.inner.breaker.acquire().await.ok_or(JobError::NotNow)?;
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
        let is_tenants = copy.tenant.is_some();
        let envelope = match envelope(&copy) {
            Ok(envelope) => envelope,
            Err(reply) => return AttemptOutcome::Ended(FinalState::Failed, reply),
        };
        let signed = match self.inner.signer.as_ref().map(|signer| signer.sign(&copy.mime)) {
            Some(Ok(signed)) => signed,
            Some(Err(reply)) => return AttemptOutcome::Ended(FinalState::Failed, reply),
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
                after(failure, attempt, job, is_tenants)
            }
        }
    }

    /// Writes the outcome; the job's own end follows from it.
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

fn envelope(copy: &Copy) -> Result<Envelope, String> {
    let from = (!copy.envelope_from.is_empty()).then(|| copy.envelope_from.parse()).transpose();
    let from = from.map_err(|error| format!("the sender is no address: {error}"))?;
    let to = copy.address.parse().map_err(|error| format!("the recipient is no address: {error}"))?;
    Envelope::new(from, vec![to]).map_err(|error| error.to_string())
}

/// The relay is away, or refuses our account: that says nothing about the mail, and all others fare alike.
fn concerns_all(failure: &TransportError) -> bool {
    match failure {
        TransportError::Refused { code, text } => judge(*code, text) == Verdict::Misconfigured,
        TransportError::Unreachable(_) => true,
        TransportError::Unfit(_) | TransportError::Broken(_) => false,
    }
}

/// What follows from a failure. One that concerns all is no attempt of this mail's.
fn after(failure: &TransportError, attempt: u16, job: &Job, is_tenants: bool) -> AttemptOutcome {
    let reply = failure.to_string();
    let counts = !concerns_all(failure);
    let hint = match failure {
        TransportError::Refused { code, text } => match judge(*code, text) {
            // A bare refusal may be for what the mail says or who sends it: with that, no tenant silences an address
            // for all others.
            Verdict::Bounced if is_tenants && enhanced(text).is_none() => {
                return AttemptOutcome::Ended(FinalState::Failed, reply);
            }
            Verdict::Bounced => return AttemptOutcome::Ended(FinalState::Bounced, reply),
            Verdict::Failed => return AttemptOutcome::Ended(FinalState::Failed, reply),
            Verdict::Later(hint) => hint,
            Verdict::Misconfigured => None,
        },
        TransportError::Unfit(_) => return AttemptOutcome::Ended(FinalState::Failed, reply),
        TransportError::Unreachable(_) | TransportError::Broken(_) => None,
    };
    if !counts {
        counter!("rowhouse_mail_relay_failures_total").increment(1);
        tracing::error!(%failure, "the mail relay cannot be used; mails wait until it can");
    }
    if (counts && attempt >= MOST_ATTEMPTS) || job.attempt >= job.max_attempts {
        return AttemptOutcome::Ended(
            FinalState::Failed,
            format!("given up after {attempt} attempts: {reply}"),
        );
    }
    let after = if counts { hint.unwrap_or_else(|| pause(attempt)) } else { absence(job.attempt) };
    AttemptOutcome::Again { after, reply, counts }
}

/// The pause while the relay is away: from one second to two minutes, over at most 1000 runs, which is more than a day.
fn absence(run: u16) -> Duration {
    Duration::from_secs(1 << run.clamp(1, 7)).min(Duration::from_secs(120))
}
