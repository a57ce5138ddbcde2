//! Challenges to second factors. Leaves those that need a message to `phone_challenge.rs`, and their answers to
//! `verification.rs`.

use rowhouse_db::Transaction;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::factor::FactorType;
use crate::fault::{Fault, carry_fault};
use crate::flow::factor::kind_name;
use crate::flow::holder::{self, Holder, HolderError};
use crate::flow::phone_code::CodeError;
use crate::limit::TooManyRequests;
use crate::model::User;
use crate::request::{Client, SignedIn};
use crate::store::audit;
use crate::store::challenge::{self, ChallengeRow, NewChallenge};
use crate::store::factor::{self, FactorRow};
use crate::webauthn::{Discoverable, SessionData, StoredCredential, creation_options, request_options};

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
    /// A further factor is verified in a session that has one.
    #[error("AAL2 required to verify a new factor")]
    NeedsAal2,
    /// The factor has no such challenge.
    #[error("MFA factor with the provided challenge ID not found")]
    ChallengeNotFound,
    /// Another client asked for the challenge, or it was answered.
    #[error("Challenge and verify IP addresses mismatch.")]
    AddressMismatch,
    #[error("MFA challenge {0} has expired, verify against another challenge or create a new challenge.")]
    Expired(Uuid),
    /// A code that is wrong, or was used.
    #[error("Invalid {} code entered", code_name(*.0))]
    WrongCode(FactorType),
    /// An authenticator's answer that is not what was asked for.
    #[error("Failed to validate WebAuthn MFA response")]
    WrongAssertion,
    /// The project's hook refuses, right or wrong.
    #[error("{0}")]
    Rejected(String),
    /// Too many wrong codes.
    #[error(transparent)]
    Locked(#[from] TooManyRequests),
    /// No message with a code was sent.
    #[error(transparent)]
    Code(#[from] CodeError),
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
    /// For an authenticator: `{type, credential_options}`.
    pub(crate) webauthn: Option<Value>,
}

fn code_name(kind: FactorType) -> &'static str {
    if kind == FactorType::Phone { "MFA Phone" } else { kind_name(kind) }
}

/// What challenging a factor begins with.
#[derive(Debug)]
pub(super) enum Begun {
    Challenged(Challenged),
    /// A code has to be sent first, while no connection is held.
    ToBeSent(Box<Recipient>),
}

/// Who is sent a code.
#[derive(Debug)]
pub(super) struct Recipient {
    pub(super) user: User,
    pub(super) factor: Uuid,
    pub(super) phone: String,
}

/// Challenges a factor of the caller, unless a code has to be sent.
pub(super) async fn begin(
    auth: &Auth,
    caller: SignedIn,
    factor: Uuid,
    client: &Client,
) -> Result<Begun, ChallengeError> {
    let now = auth.now();
    let (service, address) = (auth.clone(), client.address);
    let work = async move |tx: &Transaction<'_>| {
        let holder = holder::lock(tx, caller, now).await?;
        let found = lock_factor(&service, tx, &holder, factor).await?;
        if let (FactorType::Phone, Some(phone)) = (found.kind, found.phone.clone()) {
            let recipient = Recipient { user: holder.user, factor: found.id, phone };
            return Ok(Begun::ToBeSent(Box::new(recipient)));
        }
        let id = service.new_id();
        let session = (found.kind == FactorType::WebAuthn).then(|| SessionData::new(&*service.rng));
        let stored = session.as_ref().map(SessionData::to_json);
        let new = NewChallenge { id, factor: found.id, address, session: stored, otp_code: None };
        challenge::insert(tx, &new, now).await?;
        audit::write(tx, "challenge_created", "factor", holder.user.id, json!({ "factor_id": found.id }))
            .await?;
        let webauthn = match &session {
            Some(session) => Some(options(&service, tx, &holder, &found, session).await?),
            None => None,
        };
        let expires_at = now + service.mfa.mfa_challenge_expiry;
        Ok(Begun::Challenged(Challenged { id, kind: found.kind, expires_at, webauthn }))
    };
    auth.control.run_tx(&client.operation("auth.challenge_factor"), work).await
}

/// What the browser is asked for: to create a credential while the factor is enrolled, to use it afterwards.
async fn options(
    auth: &Auth,
    tx: &Transaction<'_>,
    holder: &Holder,
    factor: &FactorRow,
    session: &SessionData,
) -> Result<Value, Fault> {
    let stored = match &factor.credential {
        Some(own) if factor.is_verified => vec![own.clone()],
        _ => factor::credentials(tx, holder.user.id).await?,
    };
    let known = stored.into_iter().map(serde_json::from_value::<StoredCredential>);
    let ids = known.map(|known| known.map(|known| known.id)).collect::<Result<Vec<_>, _>>();
    let ids = ids.map_err(Fault::Json)?;
    let (kind, options) = match factor.is_verified {
        true => ("request", request_options(auth.terms(), session, &ids)),
        false => {
            let discoverable = Discoverable::Discouraged;
            ("create", creation_options(auth.terms(), &holder.user, session, &ids, discoverable))
        }
    };
    Ok(json!({ "type": kind, "credential_options": { "publicKey": options } }))
}

/// A factor of the caller, of an allowed kind. One that was enrolled before the user's first factor was verified does not
/// raise sessions that lack that: somebody with the password alone may have enrolled it.
pub(super) async fn lock_factor(
    auth: &Auth,
    tx: &Transaction<'_>,
    holder: &Holder,
    factor: Uuid,
) -> Result<FactorRow, ChallengeError> {
    let found = factor::lock(tx, factor, holder.user.id).await?.ok_or(ChallengeError::FactorNotFound)?;
    if !auth.mfa.is_enabled(found.kind) {
        return Err(ChallengeError::Disabled(found.kind));
    }
    let is_weak = !found.is_verified && holder.lacks_factor();
    if is_weak { Err(ChallengeError::NeedsAal2) } else { Ok(found) }
}

/// A challenge that may still be answered, by this client.
pub(super) async fn lock_challenge(
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
