//! Answers to challenges: a right one raises the session.

use metrics::counter;
use rowhouse_db::Transaction;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::Auth;
use crate::factor::FactorType;
use crate::fault::Fault;
use crate::flow::assurance;
use crate::flow::challenge::{ChallengeError, lock_challenge, lock_factor};
use crate::flow::holder::{self, Holder};
use crate::flow::notification::{self, Notification};
use crate::flow::proof::{self, Answer};
use crate::flow::session::Grant;
use crate::hook::Hook;
use crate::limit::TooManyRequests;
use crate::model::Session;
use crate::request::{Client, SignedIn};
use crate::store::audit;
use crate::store::challenge::{self, ChallengeRow};
use crate::store::factor::{self, FactorRow};
use crate::store::session::{self, Scope};

/// Wrong codes in a row before a factor is locked. Three codes of a million are right at any time.
const FREE_ATTEMPTS: i32 = 5;
/// The lock after the last free attempt; each further wrong code doubles it.
const FIRST_LOCK: Duration = Duration::seconds(30);
/// The longest lock: 96 guesses a day, of which one in 3,500 days is right.
const LONGEST_LOCK: Duration = Duration::minutes(15);

/// What clients are told where the hook says nothing.
const REJECTED: &str = "Further MFA verification attempts will be rejected.";

/// The outcome of the transaction. A wrong answer is an outcome, not an error: its count must be committed.
enum Outcome {
    Raised(Box<Grant>),
    Wrong(FactorType),
}

/// Verifies the answer to a challenge, and raises the caller's session to `aal2`.
pub(crate) async fn verify(
    auth: &Auth,
    caller: SignedIn,
    (factor, challenge): (Uuid, Uuid),
    answer: Answer,
    client: &Client,
) -> Result<Session, ChallengeError> {
    let now = auth.now();
    if auth.hooks.has(Hook::MfaVerification) {
        ask_hook(auth, caller, (factor, challenge), &answer, client).await?;
    }
    let operation = client.operation("auth.verify_factor");
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        let holder = holder::lock(tx, caller, now).await?;
        let found = lock_factor(&service, tx, &holder, factor).await?;
        let challenge = lock_challenge(&service, tx, &found, challenge, &from, now).await?;
        require_unlocked(&found, now)?;
        let Some(learned) = proof::check(&service, &found, &challenge, &answer, now)? else {
            refuse(tx, &holder, &found, &challenge, now).await?;
            return Ok(Outcome::Wrong(found.kind));
        };
        challenge::note_answer(tx, challenge.id, now).await?;
        factor::note_success(tx, found.id, &learned, now).await?;
        let grant = accept(&service, tx, &holder, &found, &from, now).await?;
        Ok(Outcome::Raised(Box::new(grant)))
    };
    let outcome = auth.control.run_tx(&operation, work).await;
    let label = match &outcome {
        Ok(Outcome::Raised(_)) => "success",
        Ok(Outcome::Wrong(_)) => "invalid",
        Err(ChallengeError::Locked(_)) => "locked",
        Err(_) => "refused",
    };
    counter!("rowhouse_auth_factor_verifications_total", "outcome" => label).increment(1);
    match outcome? {
        Outcome::Raised(grant) => Ok(grant.sign(auth, client, now).await?),
        Outcome::Wrong(FactorType::WebAuthn) => Err(ChallengeError::WrongAssertion),
        Outcome::Wrong(kind) => Err(ChallengeError::WrongCode(kind)),
    }
}

/// Asks the project's hook, which learns whether the answer is right and holds no lock meanwhile. The answer is checked
/// again afterwards.
async fn ask_hook(
    auth: &Auth,
    caller: SignedIn,
    (factor, challenge): (Uuid, Uuid),
    answer: &Answer,
    client: &Client,
) -> Result<(), ChallengeError> {
    let now = auth.now();
    let (service, from, answer) = (auth.clone(), client.clone(), answer.clone());
    let check = async move |tx: &Transaction<'_>| {
        let holder = holder::lock(tx, caller, now).await?;
        let found = lock_factor(&service, tx, &holder, factor).await?;
        let challenge = lock_challenge(&service, tx, &found, challenge, &from, now).await?;
        require_unlocked(&found, now)?;
        let is_right = proof::check(&service, &found, &challenge, &answer, now)?.is_some();
        Ok((found.kind, is_right))
    };
    let operation = client.operation("auth.check_factor");
    let (kind, is_right) = auth.control.run_tx::<_, ChallengeError>(&operation, check).await?;
    let user = caller.user.0;
    let event =
        json!({ "user_id": user, "factor_id": factor, "factor_type": kind.as_str(), "valid": is_right });
    let said = auth.hooks.call(Hook::MfaVerification, event, client).await?.unwrap_or_default();
    if said["decision"] != "reject" {
        return Ok(());
    }
    let end = async move |tx: &Transaction<'_>| session::end(tx, user, None, Scope::Global).await;
    auth.control.run_tx::<_, Fault>(&client.operation("auth.end_sessions"), end).await?;
    let message = said["message"].as_str().filter(|message| !message.is_empty());
    Err(ChallengeError::Rejected(message.unwrap_or(REJECTED).to_owned()))
}

fn require_unlocked(factor: &FactorRow, now: OffsetDateTime) -> Result<(), TooManyRequests> {
    match factor.locked_until.map(|until| until - now) {
        Some(left) if left.is_positive() => Err(TooManyRequests { retry_after: left.unsigned_abs() }),
        _ => Ok(()),
    }
}

/// Counts a wrong answer. A code may be typed again; an authenticator's answer uses the challenge up.
async fn refuse(
    tx: &Transaction<'_>,
    holder: &Holder,
    factor: &FactorRow,
    challenge: &ChallengeRow,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    if factor.kind == FactorType::WebAuthn {
        challenge::note_answer(tx, challenge.id, now).await?;
    }
    let locked_until = lock_after(factor.failed_attempts + 1).map(|lock| now + lock);
    factor::note_failure(tx, factor.id, locked_until, now).await?;
    attempted(tx, holder, factor, "failure").await
}

/// How long a factor is locked after so many wrong codes in a row.
fn lock_after(failures: i32) -> Option<Duration> {
    let doublings = u32::try_from(failures - FREE_ATTEMPTS).ok()?;
    let factor = 1_i32.checked_shl(doublings.min(16)).unwrap_or(i32::MAX);
    Some(FIRST_LOCK.saturating_mul(factor).min(LONGEST_LOCK))
}

/// Raises the session; other unfinished enrolments are given up. The first factor ends what began without it, too.
async fn accept(
    auth: &Auth,
    tx: &Transaction<'_>,
    holder: &Holder,
    factor: &FactorRow,
    client: &Client,
    now: OffsetDateTime,
) -> Result<Grant, Fault> {
    factor::delete_unverified(tx, holder.user.id).await?;
    attempted(tx, holder, factor, "success").await?;
    if !factor.is_verified {
        let enrolled = Notification::FactorEnrolled { factor_type: factor.kind.as_str() };
        notification::tell(auth, tx, &holder.user, enrolled, client).await?;
        session::end_pending(tx, holder.user.id).await?;
    }
    assurance::raise(auth, tx, holder, (Some(factor.id), factor.kind.method()), client, now).await
}

async fn attempted(
    tx: &Transaction<'_>,
    holder: &Holder,
    factor: &FactorRow,
    outcome: &str,
) -> Result<(), Fault> {
    let traits = json!({ "factor_id": factor.id, "factor_type": factor.kind.as_str(), "outcome": outcome });
    audit::write(tx, "verification_attempted", "factor", holder.user.id, traits).await
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::lock_after;

    #[test]
    fn locks_double_from_the_fifth_wrong_code_up_to_a_quarter_of_an_hour() {
        let locks: Vec<_> = (0..=4).map(lock_after).collect();
        assert_eq!(locks, [None; 5]);
        let seconds: Vec<_> = (5..12).map(|n| lock_after(n).map(Duration::whole_seconds)).collect();
        assert_eq!(seconds, [30, 60, 120, 240, 480, 900, 900].map(Some));
        assert_eq!(lock_after(i32::MAX), Some(Duration::minutes(15)));
    }
}
