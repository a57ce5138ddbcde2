//! Codes in messages to phones: sent first, then stored in the transaction of what they are about. So a message that cannot
//! be sent leaves nothing behind, no connection is held meanwhile, and a code whose transaction fails is worth nothing.

use metrics::counter;
use rowhouse_crypto::{OpaqueSecret, digest_hex, random_digits};
use rowhouse_db::Transaction;
use rowhouse_kernel::Secret;
use serde_json::json;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::one_time::code_hash;
use crate::hook::Hook;
use crate::model::User;
use crate::one_time::Sent;
use crate::phone::Channel;
use crate::request::Client;
use crate::sms::{Message, SmsError};
use crate::sms_limit::{SmsKind, TooManyMessages};
use crate::store::one_time_token::{self, NewToken};
use crate::store::phone_user;

/// The id of messages that are not sent because their number has a code of its own; GoTrue's.
const TEST_ID: &str = "test-otp";

/// Why no code is sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodeError {
    #[error(transparent)]
    TooMany(#[from] TooManyMessages),
    /// The provider does not take the message; why is in the log.
    #[error("Error sending {0} OTP to provider")]
    NotSent(&'static str),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(CodeError);

/// What a code is sent about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    /// Its user, for the hook.
    pub(crate) user: &'a User,
    pub(crate) phone: &'a str,
    pub(crate) kind: SmsKind,
    pub(crate) channel: Channel,
}

/// A code that was sent, to be stored.
#[derive(Debug, Clone)]
pub(crate) struct SentCode {
    pub(crate) code: Secret,
    /// The provider's id of the message.
    pub(crate) message_id: Option<String>,
}

/// Makes a code and sends it. Nothing is sent to a number with a code of its own, but for second factors.
pub(crate) async fn send(auth: &Auth, text: Text<'_>, client: &Client) -> Result<SentCode, CodeError> {
    let settings = &auth.sms.settings;
    if text.kind != SmsKind::Factor
        && let Some(code) = settings.test_code(text.phone, auth.now())
    {
        return Ok(SentCode { code: Secret::new(code), message_id: Some(TEST_ID.to_owned()) });
    }
    auth.sms.require_original(client).await?;
    auth.sms.count(text.kind).await?;
    let code = Secret::new(random_digits(usize::from(settings.otp_length), &*auth.rng));
    let delivered = match auth.hooks.has(Hook::SendSms) {
        true => call_hook(auth, text, &code, client).await.map_err(CodeError::Fault),
        false => deliver(auth, text, &code, client).await,
    };
    let outcome = if delivered.is_ok() { "sent" } else { "failed" };
    counter!("rowhouse_auth_messages_total", "outcome" => outcome).increment(1);
    Ok(SentCode { code, message_id: delivered? })
}

/// The project's hook in place of the provider.
async fn call_hook(
    auth: &Auth,
    text: Text<'_>,
    code: &Secret,
    client: &Client,
) -> Result<Option<String>, Fault> {
    let mut sms = json!({ "otp": code.expose(), "phone": text.phone });
    if text.kind == SmsKind::Factor {
        sms["sms_type"] = text.kind.as_str().into();
    }
    auth.hooks.call(Hook::SendSms, json!({ "user": text.user, "sms": sms }), client).await?;
    Ok(None)
}

async fn deliver(
    auth: &Auth,
    text: Text<'_>,
    code: &Secret,
    client: &Client,
) -> Result<Option<String>, CodeError> {
    let Some(body) = auth.sms.settings.text(code.expose()) else {
        return Err(CodeError::NotSent(text.kind.as_str()));
    };
    let message = Message { phone: text.phone, text: &body, code, channel: text.channel };
    match auth.sms.send(message, client).await {
        Ok(id) => Ok(id),
        Err(SmsError::Fault(fault)) => Err(fault.into()),
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, kind = text.kind.as_str(), "a message to a phone was not sent");
            Err(CodeError::NotSent(text.kind.as_str()))
        }
    }
}

/// Stores a code that was sent to a user's number, and when; the user's earlier one of the type is void.
pub(crate) async fn put(
    auth: &Auth,
    tx: &Transaction<'_>,
    user: Uuid,
    (sent, phone): (Sent, &str),
    code: &Secret,
) -> Result<(), Fault> {
    let now = auth.now();
    // Only codes are sent; the table wants the digest of a link's token.
    let token_hash = digest_hex(OpaqueSecret::generate(&*auth.rng).expose());
    let new = NewToken {
        id: auth.new_id(),
        user,
        sent,
        token_hash: &token_hash,
        code_hash: &code_hash(auth, sent.token_type.as_str(), user, code.expose()),
        address: phone,
        flow: None,
        expires_at: now + auth.sms.settings.otp_expiry,
    };
    one_time_token::put(tx, new, now).await?;
    phone_user::note_sent(tx, user, sent.token_type, now).await
}
