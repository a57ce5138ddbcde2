//! Whether an answer proves that somebody has a factor: a code of an app or in a message, or an authenticator's signature.

use rowhouse_crypto::webauthn::WebAuthnError;
use rowhouse_crypto::{TotpSecret, is_equal};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::factor::FactorType;
use crate::fault::Fault;
use crate::sealed;
use crate::sealed_text::factor_label;
use crate::store::challenge::ChallengeRow;
use crate::store::factor::{FactorRow, Learned};
use crate::webauthn::{self, Creation, SessionData, StoredCredential};

/// The answer to a challenge.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Code(String),
    /// Of an authenticator that is being enrolled.
    Creation(Box<Creation>),
    /// Of an enrolled authenticator.
    Assertion(Box<webauthn::Proof>),
}

/// `None` for a wrong answer.
pub(crate) fn check(
    auth: &Auth,
    factor: &FactorRow,
    challenge: &ChallengeRow,
    answer: &Answer,
    now: OffsetDateTime,
) -> Result<Option<Learned>, Fault> {
    match (factor.kind, answer) {
        (FactorType::Totp, Answer::Code(code)) => check_code(auth, factor, code, now),
        (FactorType::Phone, Answer::Code(code)) => Ok(check_message(auth, challenge, code)),
        (FactorType::WebAuthn, Answer::Creation(creation)) if !factor.is_verified => {
            check_creation(auth, challenge, creation)
        }
        (FactorType::WebAuthn, Answer::Assertion(assertion)) => {
            check_assertion(auth, factor, challenge, assertion)
        }
        _ => Ok(None),
    }
}

fn check_code(
    auth: &Auth,
    factor: &FactorRow,
    code: &str,
    now: OffsetDateTime,
) -> Result<Option<Learned>, Fault> {
    let (stored, label) = (factor.secret.as_deref().unwrap_or_default(), factor_label(factor.id));
    let opened = sealed::open(auth, stored, &label)?;
    let plain = match &opened {
        Some(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        None => stored,
    };
    let Some(secret) = TotpSecret::from_base32(plain) else { return Ok(None) };
    let Some(step) = secret.find_step(code, now.unix_timestamp(), factor.last_step) else { return Ok(None) };
    let secret = match opened {
        Some(_) => None,
        None => Some(sealed::seal(auth, plain.as_bytes(), &label)?),
    };
    Ok(Some(Learned { step: Some(step), secret, ..Learned::default() }))
}

/// The digest of the code in a message; another one for each challenge.
pub(super) fn message_digest(auth: &Auth, challenge: Uuid, code: &str) -> String {
    auth.codes.digest(&format!("challenge:{challenge}"), code)
}

fn check_message(auth: &Auth, challenge: &ChallengeRow, code: &str) -> Option<Learned> {
    let sent = challenge.otp_code.as_deref()?;
    let given = message_digest(auth, challenge.id, code);
    is_equal(sent.as_bytes(), given.as_bytes()).then(Learned::default)
}

fn check_creation(
    auth: &Auth,
    challenge: &ChallengeRow,
    creation: &Creation,
) -> Result<Option<Learned>, Fault> {
    let Some(session) = session(challenge)? else { return Ok(None) };
    let created = creation.verify(&auth.relying_party, &session.challenge.0).map_err(note);
    let Ok(created) = created else { return Ok(None) };
    let aaguid = Uuid::from_bytes(created.aaguid);
    let stored = StoredCredential::new(created, &creation.transports());
    let credential = serde_json::to_value(stored).map_err(Fault::Json)?;
    Ok(Some(Learned { credential: Some(credential), aaguid: Some(aaguid), ..Learned::default() }))
}

fn check_assertion(
    auth: &Auth,
    factor: &FactorRow,
    challenge: &ChallengeRow,
    assertion: &webauthn::Proof,
) -> Result<Option<Learned>, Fault> {
    let (Some(session), Some(stored)) = (session(challenge)?, factor.credential.clone()) else {
        return Ok(None);
    };
    let known: StoredCredential = serde_json::from_value(stored).map_err(Fault::Json)?;
    if known.id != assertion.credential_id() {
        return Ok(None);
    }
    let asserted = assertion.verify(&auth.relying_party, &session.challenge.0, known.known());
    let Ok(asserted) = asserted.map_err(note) else { return Ok(None) };
    let credential = serde_json::to_value(known.used(asserted)).map_err(Fault::Json)?;
    Ok(Some(Learned { credential: Some(credential), ..Learned::default() }))
}

fn session(challenge: &ChallengeRow) -> Result<Option<SessionData>, Fault> {
    challenge.session.clone().map(serde_json::from_value).transpose().map_err(Fault::Json)
}

/// The client learns only that the answer is refused; operators want to know of clones and foreign origins.
pub(crate) fn note(error: WebAuthnError) -> WebAuthnError {
    tracing::warn!(%error, "an authenticator's answer is refused");
    error
}
