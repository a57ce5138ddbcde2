//! Challenges to second factors, with a message for those of the kind `phone`. Leaves their answers to `verification.rs`.

use rowhouse_db::Transaction;
use rowhouse_kernel::Secret;
use serde_json::json;
use uuid::Uuid;

use crate::Auth;
use crate::factor::FactorType;
use crate::flow::challenge::{self, Begun, ChallengeError, Challenged, Recipient, lock_factor};
use crate::flow::phone_code::{self, CodeError, Text};
use crate::flow::{holder, proof};
use crate::phone::Channel;
use crate::request::{Client, SignedIn};
use crate::sms_limit::SmsKind;
use crate::store::audit;
use crate::store::challenge::{NewChallenge, insert};

/// Challenges a factor of the caller. The code for a number is sent first; then the challenge is stored that it answers.
pub(crate) async fn challenge(
    auth: &Auth,
    caller: SignedIn,
    (factor, channel): (Uuid, Channel),
    client: &Client,
) -> Result<Challenged, ChallengeError> {
    let Recipient { user, factor, phone } = match challenge::begin(auth, caller, factor, client).await? {
        Begun::Challenged(challenged) => return Ok(challenged),
        Begun::ToBeSent(recipient) => *recipient,
    };
    let kind = SmsKind::Factor;
    auth.sms.limit.check(kind, &phone, client).await.map_err(CodeError::from)?;
    let sent = phone_code::send(auth, Text { user: &user, phone: &phone, kind, channel }, client).await?;
    store(auth, caller, factor, sent.code, client).await
}

async fn store(
    auth: &Auth,
    caller: SignedIn,
    factor: Uuid,
    code: Secret,
    client: &Client,
) -> Result<Challenged, ChallengeError> {
    let now = auth.now();
    let (service, address) = (auth.clone(), client.address);
    let work = async move |tx: &Transaction<'_>| {
        let holder = holder::lock(tx, caller, now).await?;
        let found = lock_factor(&service, tx, &holder, factor).await?;
        let id = service.new_id();
        let otp_code = Some(proof::message_digest(&service, id, code.expose()));
        let new = NewChallenge { id, factor: found.id, address, session: None, otp_code };
        insert(tx, &new, now).await?;
        let traits = json!({ "factor_id": found.id });
        audit::write(tx, "challenge_created", "factor", holder.user.id, traits).await?;
        let expires_at = now + service.mfa.mfa_challenge_expiry;
        Ok(Challenged { id, kind: FactorType::Phone, expires_at, webauthn: None })
    };
    auth.control.run_tx(&client.operation("auth.challenge_phone_factor"), work).await
}
