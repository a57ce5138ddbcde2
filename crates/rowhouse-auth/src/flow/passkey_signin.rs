//! Sign-in with a passkey: the credential itself says whose it is.

use metrics::counter;
use rowhouse_crypto::webauthn::KnownCredential;
use rowhouse_db::Transaction;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::passkey::Begun;
use crate::flow::proof::note;
use crate::flow::session::{self, Grant};
use crate::method::Method;
use crate::model::{Session, User};
use crate::request::Client;
use crate::store::passkey::{self, NewCeremony, Purpose};
use crate::store::user;
use crate::store::user_change;
use crate::webauthn::{Proof, SessionData, request_options};

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasskeySignInError {
    /// No such ceremony, or it was answered.
    #[error("Challenge not found or already used")]
    ChallengeNotFound,
    #[error("Challenge has expired")]
    ChallengeExpired,
    /// Unknown credential or wrong signature: one answer for both.
    #[error("Credential verification failed")]
    Refused,
    #[error("Email not confirmed")]
    EmailNotConfirmed,
    #[error("User is banned")]
    Banned,
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(PasskeySignInError);

/// Begins a sign-in: any passkey of any user may answer.
pub(crate) async fn begin(auth: &Auth, client: &Client) -> Result<Begun, PasskeySignInError> {
    let now = auth.now();
    let session = SessionData::new(&*auth.rng);
    let begun = Begun {
        id: auth.new_id(),
        options: request_options(auth.terms(), &session, &[]),
        expires_at: now + auth.mfa.mfa_challenge_expiry,
    };
    let ceremony = NewCeremony {
        id: begun.id,
        user: None,
        purpose: Purpose::Authentication,
        session: session.to_json(),
        expires_at: begun.expires_at,
    };
    let work = async move |tx: &Transaction<'_>| passkey::begin(tx, &ceremony, now).await;
    auth.control.run_tx(&client.operation("auth.begin_passkey_signin"), work).await?;
    Ok(begun)
}

/// Signs in whoever the passkey belongs to. The ceremony ends even if the answer is refused.
pub(crate) async fn sign_in(
    auth: &Auth,
    ceremony: Uuid,
    proof: Proof,
    client: &Client,
) -> Result<Session, PasskeySignInError> {
    let now = auth.now();
    let operation = client.operation("auth.passkey_signin");
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        let row = passkey::end(tx, ceremony, Purpose::Authentication, None).await?;
        let row = row.ok_or(PasskeySignInError::ChallengeNotFound)?;
        if row.expires_at <= now {
            return Ok(Err(PasskeySignInError::ChallengeExpired));
        }
        let session: SessionData = serde_json::from_value(row.session).map_err(Fault::Json)?;
        open(&service, tx, &session, &proof, &from, now).await
    };
    let outcome = auth.control.run_tx::<_, PasskeySignInError>(&operation, work).await?;
    let label = match &outcome {
        Ok(_) => "success",
        Err(PasskeySignInError::Refused) => "invalid",
        Err(_) => "refused",
    };
    counter!("rowhouse_auth_signins_total", "outcome" => label).increment(1);
    Ok(outcome?.sign(auth, client, now).await?)
}

/// A refusal is an outcome here, not an error, so that the end of the ceremony is committed.
async fn open(
    auth: &Auth,
    tx: &Transaction<'_>,
    session: &SessionData,
    proof: &Proof,
    client: &Client,
    now: OffsetDateTime,
) -> Result<Result<Grant, PasskeySignInError>, PasskeySignInError> {
    let found = passkey::lock(tx, proof.credential_id()).await?;
    let Some(found) = found.filter(|found| proof.user() == Some(found.user)) else {
        return Ok(Err(PasskeySignInError::Refused));
    };
    let known = KnownCredential { public_key: &found.public_key, sign_count: found.sign_count };
    let asserted = proof.verify(&auth.relying_party, &session.challenge.0, known).map_err(note);
    let (Ok(asserted), Some(row)) = (asserted, user::find(tx, found.user).await?) else {
        return Ok(Err(PasskeySignInError::Refused));
    };
    if let Err(error) = require_open(&row.user, now) {
        return Ok(Err(error));
    }
    passkey::note_use(tx, found.id, asserted, now).await?;
    user_change::note_sign_in_time(tx, found.user, now).await?;
    let grant = session::open(auth, tx, found.user, Method::Passkey.into(), client, now).await?;
    Ok(grant.ok_or(PasskeySignInError::Refused))
}

fn require_open(user: &User, now: OffsetDateTime) -> Result<(), PasskeySignInError> {
    if user.deleted_at.is_some() {
        return Err(PasskeySignInError::Refused);
    }
    if user.is_banned(now) {
        return Err(PasskeySignInError::Banned);
    }
    if user.is_confirmed() { Ok(()) } else { Err(PasskeySignInError::EmailNotConfirmed) }
}
