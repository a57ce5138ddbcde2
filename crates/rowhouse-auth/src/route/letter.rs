//! Requests for letters: POST /otp, /magiclink, /recover, /resend; GET /reauthenticate.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::phone::{self, Named};
use crate::Auth;
use crate::flow::letter_request::{self, LetterError, LetterRequest, NewAccount};
use crate::flow::one_time::Return;
use crate::flow::phone_request::Again;
use crate::flow::reauthenticate::{self, ReauthenticationError};
use crate::model::Object;
use crate::pkce::Challenge;
use crate::refusal::Refusal;
use crate::request::{Body, Client, RedirectTo, SignedIn};

/// The fields of all of them; each reads its own.
#[derive(Debug, Deserialize)]
pub(super) struct LetterBody {
    #[serde(rename = "type")]
    kind: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    create_user: Option<bool>,
    data: Option<Object>,
    channel: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

impl From<LetterError> for Refusal {
    fn from(error: LetterError) -> Self {
        let code = match error {
            LetterError::SignUpDisabled => "signup_disabled",
            LetterError::NoAccount => "otp_disabled",
            LetterError::Email(error) => return error.into(),
            LetterError::Metadata(error) => return error.into(),
            LetterError::Letters(error) => return error.into(),
            LetterError::Write(error) => return error.into(),
            LetterError::Fault(fault) => return fault.into(),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string())
    }
}

/// POST /magiclink: as /otp, by mail only.
pub(super) async fn magic_link(
    state: State<Auth>,
    client: Client,
    redirect_to: RedirectTo,
    Body(body): Body<LetterBody>,
) -> Result<Json<Value>, Refusal> {
    if body.email.as_deref().unwrap_or_default().is_empty() {
        state.signin_limit.check(&client).await?;
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(Refusal::new(status, "validation_failed", "Password recovery requires an email"));
    }
    sign_in(state, client, redirect_to, Body(body)).await
}

/// POST /otp
pub(super) async fn sign_in(
    State(auth): State<Auth>,
    client: Client,
    RedirectTo(redirect_to): RedirectTo,
    Body(body): Body<LetterBody>,
) -> Result<Json<Value>, Refusal> {
    auth.signin_limit.check(&client).await?;
    let account =
        NewAccount { wanted: body.create_user.unwrap_or(true), data: body.data.clone().unwrap_or_default() };
    let channel = body.channel.clone().filter(|channel| !channel.is_empty());
    match body.asked(redirect_to, "One of email or phone must be set")? {
        Asked::Email(_) if channel.is_some() => {
            Err(Refusal::validation("Channel should only be specified with Phone OTP"))
        }
        Asked::Email(request) => {
            letter_request::sign_in(&auth, request, account, &client).await?;
            Ok(nothing())
        }
        Asked::Phone(phone) => phone::sign_in(&auth, (&phone, channel.as_deref()), account, &client).await,
    }
}

/// POST /recover
pub(super) async fn recover(
    State(auth): State<Auth>,
    client: Client,
    RedirectTo(redirect_to): RedirectTo,
    Body(body): Body<LetterBody>,
) -> Result<Json<Value>, Refusal> {
    auth.signin_limit.check(&client).await?;
    let missing = "Password recovery requires an email";
    let Asked::Email(request) = body.asked(redirect_to, missing)? else {
        return Err(Refusal::validation(missing));
    };
    letter_request::recover(&auth, request, &client).await?;
    Ok(nothing())
}

/// POST /resend
pub(super) async fn resend(
    State(auth): State<Auth>,
    client: Client,
    RedirectTo(redirect_to): RedirectTo,
    Body(body): Body<LetterBody>,
) -> Result<Json<Value>, Refusal> {
    auth.signin_limit.check(&client).await?;
    let kind = body.kind.clone().unwrap_or_default();
    if body.names_both() {
        let message = "Only an email address or phone number should be provided.";
        return Err(Refusal::validation(message));
    }
    let missing = match kind.as_str() {
        "signup" | "email_change" => "Type provided requires an email address",
        "sms" | "phone_change" => "Type provided requires a phone number",
        _ => "Missing one of these types: signup, email_change, sms, phone_change",
    };
    match (kind.as_str(), body.asked(redirect_to, missing)?) {
        ("signup", Asked::Email(request)) => {
            letter_request::resend_confirmation(&auth, request, &client).await?;
        }
        ("email_change", Asked::Email(request)) => {
            letter_request::resend_email_change(&auth, request, &client).await?;
        }
        ("sms", Asked::Phone(phone)) => {
            return phone::resend(&auth, Again::Confirmation, &phone, &client).await;
        }
        ("phone_change", Asked::Phone(phone)) => {
            return phone::resend(&auth, Again::Change, &phone, &client).await;
        }
        _ => return Err(Refusal::validation(missing)),
    }
    Ok(nothing())
}

/// GET /reauthenticate
pub(super) async fn reauthenticate(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    RedirectTo(redirect_to): RedirectTo,
) -> Result<Json<Value>, Refusal> {
    auth.signin_limit.check(&client).await?;
    let back = Return { challenge: None, redirect_to };
    Ok(phone::message(reauthenticate::send(&auth, caller, back, &client).await?))
}

impl From<ReauthenticationError> for Refusal {
    fn from(error: ReauthenticationError) -> Self {
        let (status, code) = match error {
            ReauthenticationError::NotLive(error) => return error.into(),
            ReauthenticationError::NoAddress => return Self::validation(error.to_string()),
            ReauthenticationError::NotConfirmed => (StatusCode::UNPROCESSABLE_ENTITY, "email_not_confirmed"),
            ReauthenticationError::PhoneNotConfirmed => {
                (StatusCode::UNPROCESSABLE_ENTITY, "phone_not_confirmed")
            }
            ReauthenticationError::Letters(error) => return error.into(),
            ReauthenticationError::Code(error) => return error.into(),
            ReauthenticationError::Needed => (StatusCode::BAD_REQUEST, "reauthentication_needed"),
            ReauthenticationError::NotValid => {
                (StatusCode::UNPROCESSABLE_ENTITY, "reauthentication_not_valid")
            }
            ReauthenticationError::Fault(fault) => return fault.into(),
        };
        Self::new(status, code, error.to_string())
    }
}

/// The answer, whatever was done.
fn nothing() -> Json<Value> {
    Json(json!({}))
}

/// A letter to an address, or a message to a number.
enum Asked {
    Email(LetterRequest),
    Phone(String),
}

impl LetterBody {
    fn names_both(&self) -> bool {
        [&self.email, &self.phone]
            .into_iter()
            .all(|text| text.as_deref().is_some_and(|text| !text.is_empty()))
    }

    fn asked(self, redirect_to: String, missing: &'static str) -> Result<Asked, Refusal> {
        let challenge =
            Challenge::read(self.code_challenge.as_deref(), self.code_challenge_method.as_deref())?;
        match Named::of(self.email, self.phone) {
            Named::Email(email) => {
                Ok(Asked::Email(LetterRequest { email, back: Return { challenge, redirect_to } }))
            }
            Named::Phone(phone) => Ok(Asked::Phone(phone)),
            Named::Both => {
                Err(Refusal::validation("Only an email address or phone number should be provided"))
            }
            Named::Nothing => Err(Refusal::validation(missing)),
        }
    }
}
