//! The consequence of an attempt: the recipient's final state, or another attempt. Leaves storing it to `deliver`.

use std::time::Duration;

use metrics::counter;
use rowhouse_jobs::Job;

use crate::reply::{MOST_ATTEMPTS, ReplyClass, judge, pause};
use crate::store::FinalState;
use crate::transport::{Stage, TransportError};

/// The outcome of a run: the recipient's final state, or another attempt.
#[derive(Debug)]
pub(crate) enum AttemptOutcome {
    Ended(FinalState, String),
    Again { after: Duration, reply: String, counts: bool },
}

impl AttemptOutcome {
    pub(crate) fn failed(reply: impl Into<String>) -> Self {
        Self::Ended(FinalState::Failed, reply.into())
    }
}

/// Whether the failure is the relay's (unreachable, or the account refused) and would meet every mail.
pub(crate) fn concerns_all(error: &TransportError) -> bool {
    match error {
        TransportError::Refused { stage, code, text } => {
            judge(*stage, *code, text) == ReplyClass::Misconfigured
        }
        TransportError::Unreachable(_) => true,
        TransportError::Unfit(_) | TransportError::Broken(_) => false,
    }
}

/// The outcome of a failure. One that would meet every mail does not count as an attempt.
pub(crate) fn after(error: &TransportError, attempt: u16, job: &Job) -> AttemptOutcome {
    let reply = error.to_string();
    let counts = !concerns_all(error);
    let hint = match error {
        TransportError::Refused { stage, code, text } => match judge(*stage, *code, text) {
            ReplyClass::Bounced => return AttemptOutcome::Ended(FinalState::Bounced, reply),
            ReplyClass::Failed => {
                report_refusal(*stage, &reply);
                return AttemptOutcome::failed(reply);
            }
            ReplyClass::Later(hint) => hint,
            ReplyClass::Misconfigured => None,
        },
        TransportError::Unfit(_) => return AttemptOutcome::failed(reply),
        TransportError::Unreachable(_) | TransportError::Broken(_) => None,
    };
    if !counts {
        counter!("rowhouse_mail_relay_failures_total").increment(1);
        tracing::error!(%error, "the mail relay cannot be used; mails wait until it can");
    }
    if (counts && attempt >= MOST_ATTEMPTS) || job.attempt >= job.max_attempts {
        return AttemptOutcome::failed(format!("given up after {attempt} attempts: {reply}"));
    }
    let after = if counts { hint.unwrap_or_else(|| pause(attempt)) } else { absence(job.attempt) };
    AttemptOutcome::Again { after, reply, counts }
}

/// Logs a refusal that no enhanced status code attributes to the mailbox: its cause is the sender's address, content
/// or reputation.
fn report_refusal(stage: Stage, reply: &str) {
    counter!("rowhouse_mail_refused_total", "stage" => stage.name()).increment(1);
    tracing::error!(stage = stage.name(), reply, "the relay refused a mail for what is sent or who sends it");
}

/// The pause while the relay is unreachable: one second growing to two minutes, over at most 1000 runs, which is more
/// than a day.
fn absence(run: u16) -> Duration {
    Duration::from_secs(1 << run.clamp(1, 7)).min(Duration::from_secs(120))
}
