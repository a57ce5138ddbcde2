//! Challenges to second factors, and their answers.

use metrics::counter;
use rowhouse_crypto::TotpSecret;
use rowhouse_db::Transaction;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::Auth;
use crate::factor::FactorType;
use crate::fault::{Fault, carry_fault};
use crate::flow::assurance;
use crate::flow::factor::kind_name;
use crate::flow::holder::{self, Holder, HolderError};
use crate::flow::session::Grant;
use crate::limit::TooManyRequests;
use crate::model::Session;
use crate::request::{Client, SignedIn};
use crate::sealed;
use crate::store::audit;
use crate::store::challenge::{self, ChallengeRow};
use crate::store::factor::{self, FactorRow};

/// Wrong codes in a row before a factor is locked. Three codes of a million are right at any time.
const FREE_ATTEMPTS: i32 = 5;
/// The lock after the last free attempt; each further wrong code doubles it.
const FIRST_LOCK: Duration = Duration::seconds(30);
/// The longest lock: 96 guesses a day, of which one in 3,500 days is right.
const LONGEST_LOCK: Duration = Duration::minutes(15);

/// Why a factor is not challenged, or an answer is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChallengeError {
    #[error(transparent)]
    Holder(#[from] HolderError),
    /// The user has no such factor.
    #[error("Factor not found")]
    FactorNotFound,
    /// Configuration does not allow such factors.
    #[error("MFA verification is disabled for {}", kind_name(*.0))]
    Disabled(FactorType),
    /// The factor has no such challenge.
    #[error("MFA factor with the provided challenge ID not found")]
    ChallengeNotFound,
    /// Another client asked for the challenge, or it was answered.
    #[error("Challenge and verify IP addresses mismatch.")]
    AddressMismatch,
    #[error("MFA challenge {0} has expired, verify against another challenge or create a new challenge.")]
    Expired(Uuid),
    /// A code that is wrong, or was used.
    #[error("Invalid TOTP code entered")]
    WrongCode,
    /// Too many wrong codes.
    #[error(transparent)]
    Locked(#[from] TooManyRequests),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(ChallengeError);

/// A challenge that waits for its answer.
#[derive(Debug)]
pub(crate) struct Challenged {
    pub(crate) id: Uuid,
    pub(crate) kind: FactorType,
    pub(crate) expires_at: OffsetDateTime,
}

/// Challenges a factor of the caller.
pub(crate) async fn challenge(
    auth: &Auth,
    caller: SignedIn,
    factor: Uuid,
    client: &Client,
) -> Result<Challenged, ChallengeError> {
    let now = auth.now();
    let (service, address) = (auth.clone(), client.address);
    let work = async move |tx: &Transaction<'_>| {
        let holder = holder::lock(tx, caller, now).await?;
        let found = lock_factor(&service, tx, &holder, factor).await?;
        let id = service.new_id();
        challenge::insert(tx, id, found.id, address, now).await?;
        audit::write(tx, "challenge_created", "factor", holder.user.id, json!({ "factor_id": found.id }))
            .await?;
        Ok(Challenged { id, kind: found.kind, expires_at: now + service.mfa.mfa_challenge_expiry })
    };
    auth.control.run_tx(&client.operation("auth.challenge_factor"), work).await
}

async fn lock_factor(
    auth: &Auth,
    tx: &Transaction<'_>,
    holder: &Holder,
    factor: Uuid,
) -> Result<FactorRow, ChallengeError> {
    let found = factor::lock(tx, factor, holder.user.id).await?.ok_or(ChallengeError::FactorNotFound)?;
    if auth.mfa.is_enabled(found.kind) { Ok(found) } else { Err(ChallengeError::Disabled(found.kind)) }
}

/// The outcome of the transaction. A wrong code is an outcome, not an error: its count must be committed.
enum Outcome {
    Raised(Box<Grant>),
    WrongCode,
}

/// Verifies the answer to a challenge, and raises the caller's session to `aal2`.
pub(crate) async fn verify(
    auth: &Auth,
    caller: SignedIn,
    (factor, challenge): (Uuid, Uuid),
    code: String,
    client: &Client,
) -> Result<Session, ChallengeError> {
    let now = auth.now();
    let operation = client.operation("auth.verify_factor");
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        let holder = holder::lock(tx, caller, now).await?;
        let found = lock_factor(&service, tx, &holder, factor).await?;
        let challenge = lock_challenge(&service, tx, &found, challenge, &from, now).await?;
        require_unlocked(&found, now)?;
        let Some(proof) = check(&service, &found, &code, now)? else {
            refuse(tx, &holder, &found, now).await?;
            return Ok(Outcome::WrongCode);
        };
        challenge::note_answer(tx, challenge.id, now).await?;
        factor::note_success(tx, found.id, proof.resealed.as_deref(), Some(proof.step), now).await?;
        let grant = accept(&service, tx, &holder, &found, &from, now).await?;
        Ok(Outcome::Raised(Box::new(grant)))
    };
    let outcome = auth.control.run_tx(&operation, work).await;
    let label = match &outcome {
        Ok(Outcome::Raised(_)) => "success",
        Ok(Outcome::WrongCode) => "invalid",
        Err(ChallengeError::Locked(_)) => "locked",
        Err(_) => "refused",
    };
    counter!("rowhouse_auth_factor_verifications_total", "outcome" => label).increment(1);
    match outcome? {
        Outcome::Raised(grant) => Ok(grant.sign(auth, client, now).await?),
        Outcome::WrongCode => Err(ChallengeError::WrongCode),
    }
}

async fn lock_challenge(
    auth: &Auth,
    tx: &Transaction<'_>,
    factor: &FactorRow,
    id: Uuid,
    client: &Client,
    now: OffsetDateTime,
) -> Result<ChallengeRow, ChallengeError> {
    let row = challenge::lock(tx, id, factor.id).await?.ok_or(ChallengeError::ChallengeNotFound)?;
    if row.verified_at.is_some() || row.address != client.address {
        return Err(ChallengeError::AddressMismatch);
    }
    let is_over = row.created_at + auth.mfa.mfa_challenge_expiry <= now;
    if is_over { Err(ChallengeError::Expired(id)) } else { Ok(row) }
}

fn require_unlocked(factor: &FactorRow, now: OffsetDateTime) -> Result<(), TooManyRequests> {
    match factor.locked_until.map(|until| until - now) {
        Some(left) if left.is_positive() => Err(TooManyRequests { retry_after: left.unsigned_abs() }),
        _ => Ok(()),
    }
}

/// What a right code leaves to be stored.
struct TotpProof {
    step: i64,
    /// The secret, if it was not sealed yet.
    resealed: Option<String>,
}

fn check(
    auth: &Auth,
    factor: &FactorRow,
    code: &str,
    now: OffsetDateTime,
) -> Result<Option<TotpProof>, Fault> {
    let (stored, label) = (factor.secret.as_deref().unwrap_or_default(), factor.id.to_string());
    let opened = sealed::open(auth, stored, &label)?;
    let plain = match &opened {
        Some(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        None => stored,
    };
    let Some(secret) = TotpSecret::from_base32(plain) else { return Ok(None) };
    let Some(step) = secret.find_step(code, now.unix_timestamp(), factor.last_step) else { return Ok(None) };
    let resealed = match opened {
        Some(_) => None,
        None => Some(sealed::seal(auth, plain.as_bytes(), &label)?),
    };
    Ok(Some(TotpProof { step, resealed }))
}

/// Counts a wrong answer.
async fn refuse(
    tx: &Transaction<'_>,
    holder: &Holder,
    factor: &FactorRow,
    now: OffsetDateTime,
) -> Result<(), Fault> {
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

/// Raises the session; other unfinished enrolments of the kind are given up, as GoTrue does.
async fn accept(
    auth: &Auth,
    tx: &Transaction<'_>,
    holder: &Holder,
    factor: &FactorRow,
    client: &Client,
    now: OffsetDateTime,
) -> Result<Grant, Fault> {
    factor::delete_unverified(tx, holder.user.id, factor.kind).await?;
    attempted(tx, holder, factor, "success").await?;
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
