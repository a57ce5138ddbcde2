//! The parts of routes that are about phone numbers: POST /signup, /otp, /resend with a number, and their errors.

use axum::Json;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::{session_answer, user_answer};
use crate::Auth;
use crate::flow::letter_request::NewAccount;
use crate::flow::phone_change::WantedPhone;
use crate::flow::phone_code::CodeError;
use crate::flow::phone_request::{self, Again, PhoneRequest, PhoneRequestError};
use crate::flow::phone_signup::{PhoneSignUp, sign_up as sign_up_by_phone};
use crate::flow::signup::SignedUp;
use crate::hook::Hook;
use crate::model::Object;
use crate::phone::{Channel, ChannelError, Phone, PhoneError};
use crate::policy::Password;
use crate::refusal::Refusal;
use crate::request::Client;
use crate::sms_limit::TooManyMessages;

impl From<PhoneError> for Refusal {
    fn from(error: PhoneError) -> Self {
        Self::validation(error.to_string())
    }
}

impl From<ChannelError> for Refusal {
    fn from(error: ChannelError) -> Self {
        Self::validation(error.to_string())
    }
}

impl From<TooManyMessages> for Refusal {
    fn from(error: TooManyMessages) -> Self {
        let code = "over_sms_send_rate_limit";
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, error.to_string()).retry_after(error.retry_after)
    }
}

impl From<CodeError> for Refusal {
    fn from(error: CodeError) -> Self {
        match error {
            CodeError::TooMany(error) => error.into(),
            CodeError::NotSent(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "sms_send_failed", error.to_string())
            }
            CodeError::Fault(fault) => fault.into(),
        }
    }
}

impl From<PhoneRequestError> for Refusal {
    fn from(error: PhoneRequestError) -> Self {
        let code = match error {
            PhoneRequestError::SignUpDisabled => "signup_disabled",
            PhoneRequestError::NoAccount => "otp_disabled",
            PhoneRequestError::Metadata(error) => return error.into(),
            PhoneRequestError::Code(error) => return error.into(),
            PhoneRequestError::Write(error) => return error.into(),
            PhoneRequestError::Fault(fault) => return fault.into(),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string())
    }
}

/// Refuses numbers altogether, if so configured.
pub(super) fn require_enabled(auth: &Auth, message: &'static str) -> Result<(), Refusal> {
    match auth.sms.settings.enabled {
        true => Ok(()),
        false => Err(Refusal::new(StatusCode::BAD_REQUEST, "phone_provider_disabled", message)),
    }
}

/// The channel that a request names.
pub(super) fn channel(auth: &Auth, name: Option<&str>) -> Result<Channel, Refusal> {
    let serves_whatsapp = auth.sms.serves_whatsapp(auth.hooks.has(Hook::SendSms));
    Ok(Channel::parse(name, serves_whatsapp)?)
}

/// What names an account in a body.
pub(super) enum Named {
    Email(String),
    Phone(String),
    Both,
    Nothing,
}

impl Named {
    /// Empty texts are none.
    pub(super) fn of(email: Option<String>, phone: Option<String>) -> Self {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (given(email), given(phone)) {
            (Some(email), None) => Self::Email(email),
            (None, Some(phone)) => Self::Phone(phone),
            (Some(_), Some(_)) => Self::Both,
            (None, None) => Self::Nothing,
        }
    }
}

/// A sign-up with a number.
pub(super) struct SignUpParts {
    pub(super) phone: String,
    pub(super) password: Password,
    pub(super) data: Object,
    pub(super) channel: Option<String>,
    pub(super) has_challenge: bool,
}

pub(super) async fn sign_up(auth: &Auth, parts: SignUpParts, client: &Client) -> Result<Response, Refusal> {
    if parts.has_challenge {
        return Err(Refusal::validation("PKCE not supported for phone signups"));
    }
    let channel = channel(auth, parts.channel.as_deref())?;
    require_enabled(auth, "Phone signups are disabled")?;
    let phone = Phone::parse(&parts.phone)?;
    let request = PhoneSignUp { phone, password: parts.password, data: parts.data, channel };
    match sign_up_by_phone(auth, request, client).await? {
        SignedUp::Session(session) => Ok(session_answer(*session)),
        SignedUp::Unconfirmed(user) => Ok(user_answer(*user)),
    }
}

/// A code to sign in with.
pub(super) async fn sign_in(
    auth: &Auth,
    (phone, by): (&str, Option<&str>),
    account: NewAccount,
    client: &Client,
) -> Result<Json<Value>, Refusal> {
    require_enabled(auth, "Unsupported phone provider")?;
    let request = PhoneRequest { phone: Phone::parse(phone)?, channel: channel(auth, by)? };
    Ok(message(phone_request::sign_in(auth, request, account, client).await?))
}

/// A code once more.
pub(super) async fn resend(
    auth: &Auth,
    again: Again,
    phone: &str,
    client: &Client,
) -> Result<Json<Value>, Refusal> {
    require_enabled(auth, "Phone logins are disabled")?;
    phone_request::resend(auth, again, Phone::parse(phone)?, client).await?;
    Ok(message(None))
}

/// The number that a user wants instead of their own.
pub(super) fn wanted(
    auth: &Auth,
    phone: Option<&str>,
    by: Option<&str>,
) -> Result<Option<WantedPhone>, Refusal> {
    let Some(phone) = phone.filter(|phone| !phone.is_empty()) else { return Ok(None) };
    require_enabled(auth, "Phone logins are disabled")?;
    Ok(Some(WantedPhone { phone: Phone::parse(phone)?, channel: channel(auth, by)? }))
}

/// The answer to a request for a message, with the provider's id of it.
pub(super) fn message(id: Option<String>) -> Json<Value> {
    Json(id.map_or_else(|| json!({}), |id| json!({ "message_id": id })))
}
