//! /factors: the signed-in user's second factors.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State, rejection::PathRejection};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{phone, session_answer};
use crate::Auth;
use crate::factor::{FactorType, otpauth_uri, qr_svg};
use crate::flow::challenge::ChallengeError;
use crate::flow::factor::{self, AppKey, Enrolment, FactorError};
use crate::flow::holder::HolderError;
use crate::flow::phone_challenge;
use crate::flow::proof::Answer;
use crate::flow::verification;
use crate::phone::Phone;
use crate::refusal::Refusal;
use crate::request::{Body, Client, SignedIn, read_object};
use crate::store::factor::RenameError;

pub(super) type FactorPath = Result<Path<Uuid>, PathRejection>;

#[derive(Debug, Deserialize)]
pub(super) struct EnrollBody {
    #[serde(default)]
    factor_type: String,
    #[serde(default)]
    friendly_name: Option<String>,
    issuer: Option<String>,
    phone: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ChallengeBody {
    channel: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct VerifyBody {
    challenge_id: Option<Uuid>,
    code: Option<String>,
    webauthn: Option<WebAuthnBody>,
}

/// The answer of a browser; clients also send their own idea of `rpId` and `rpOrigins`, which decides nothing.
#[derive(Debug, Deserialize)]
pub(super) struct WebAuthnBody {
    r#type: Option<String>,
    credential_response: Option<Value>,
}

impl VerifyBody {
    fn answer(self) -> Result<Answer, Refusal> {
        if let Some(webauthn) = self.webauthn {
            return webauthn.answer();
        }
        let code = self.code.filter(|code| !code.is_empty());
        code.map(Answer::Code).ok_or_else(|| Refusal::validation("Code needs to be non-empty"))
    }
}

impl WebAuthnBody {
    fn answer(self) -> Result<Answer, Refusal> {
        let response = self.credential_response;
        let response = || response.ok_or_else(|| Refusal::validation("credential_response required"));
        match self.r#type.as_deref() {
            Some("create") => Ok(Answer::Creation(Box::new(read(response()?)?))),
            Some("request") => Ok(Answer::Assertion(Box::new(read(response()?)?))),
            _ => Err(Refusal::validation("WebAuthn type must be create or request")),
        }
    }
}

fn read<T: DeserializeOwned>(response: Value) -> Result<T, Refusal> {
    T::deserialize(response).map_err(|_| Refusal::validation("Invalid credential_response"))
}

impl From<HolderError> for Refusal {
    fn from(error: HolderError) -> Self {
        match error {
            HolderError::NotLive(error) => error.into(),
            HolderError::Anonymous => Self::new(StatusCode::FORBIDDEN, "no_authorization", error.to_string()),
            HolderError::Fault(fault) => fault.into(),
        }
    }
}

impl From<FactorError> for Refusal {
    fn from(error: FactorError) -> Self {
        use StatusCode as S;
        let message = error.to_string();
        let (status, code) = match error {
            FactorError::Holder(error) => return error.into(),
            FactorError::NameTooLong => return Self::validation(message),
            FactorError::Disabled(kind) => (S::UNPROCESSABLE_ENTITY, enroll_code(kind)),
            FactorError::NameTaken(_) | FactorError::Rename(RenameError::Taken) => {
                (S::UNPROCESSABLE_ENTITY, "mfa_factor_name_conflict")
            }
            FactorError::PhoneExists => (S::UNPROCESSABLE_ENTITY, "mfa_verified_factor_exists"),
            FactorError::TooMany => (S::UNPROCESSABLE_ENTITY, "too_many_enrolled_mfa_factors"),
            FactorError::EnrollNeedsAal2 => (S::FORBIDDEN, "insufficient_aal"),
            FactorError::UnenrollNeedsAal2 => (S::UNPROCESSABLE_ENTITY, "insufficient_aal"),
            FactorError::NotFound => (S::NOT_FOUND, "mfa_factor_not_found"),
            FactorError::Rename(RenameError::Fault(fault)) | FactorError::Fault(fault) => {
                return fault.into();
            }
        };
        Self::new(status, code, message)
    }
}

impl From<ChallengeError> for Refusal {
    fn from(error: ChallengeError) -> Self {
        use StatusCode as S;
        let message = error.to_string();
        let (status, code) = match error {
            ChallengeError::Holder(error) => return error.into(),
            ChallengeError::FactorNotFound => (S::NOT_FOUND, "mfa_factor_not_found"),
            ChallengeError::Disabled(kind) => (S::UNPROCESSABLE_ENTITY, verify_code(kind)),
            ChallengeError::NeedsAal2 => (S::FORBIDDEN, "insufficient_aal"),
            ChallengeError::ChallengeNotFound => (S::UNPROCESSABLE_ENTITY, "mfa_factor_not_found"),
            ChallengeError::AddressMismatch => (S::UNPROCESSABLE_ENTITY, "mfa_ip_address_mismatch"),
            ChallengeError::Expired(_) => (S::UNPROCESSABLE_ENTITY, "mfa_challenge_expired"),
            ChallengeError::WrongCode(_) | ChallengeError::WrongAssertion => {
                (S::UNPROCESSABLE_ENTITY, "mfa_verification_failed")
            }
            ChallengeError::Rejected(_) => (S::FORBIDDEN, "mfa_verification_rejected"),
            ChallengeError::Locked(error) => return error.into(),
            ChallengeError::Code(error) => return error.into(),
            ChallengeError::Fault(fault) => return fault.into(),
        };
        Self::new(status, code, message)
    }
}

fn enroll_code(kind: FactorType) -> &'static str {
    match kind {
        FactorType::Totp => "mfa_totp_enroll_not_enabled",
        FactorType::Phone => "mfa_phone_enroll_not_enabled",
        FactorType::WebAuthn => "mfa_webauthn_enroll_not_enabled",
    }
}

fn verify_code(kind: FactorType) -> &'static str {
    match kind {
        FactorType::Totp => "mfa_totp_verify_not_enabled",
        FactorType::Phone => "mfa_phone_verify_not_enabled",
        FactorType::WebAuthn => "mfa_webauthn_verify_not_enabled",
    }
}

/// The id in the path.
pub(super) fn factor_id(path: FactorPath) -> Result<Uuid, Refusal> {
    let message = "factor_id must be an UUID";
    path.map(|Path(id)| id).map_err(|_| Refusal::new(StatusCode::NOT_FOUND, "validation_failed", message))
}

/// Counts a request about factors: by user, too, since whoever guesses codes may have many addresses.
pub(super) async fn count(auth: &Auth, caller: SignedIn, client: &Client) -> Result<(), Refusal> {
    auth.mfa_limit.check(client).await?;
    Ok(auth.mfa_limit.check_user(caller.user, client).await?)
}

pub(super) async fn enroll(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    Body(body): Body<EnrollBody>,
) -> Result<Response, Refusal> {
    count(&auth, caller, &client).await?;
    let kind = FactorType::parse(&body.factor_type)
        .ok_or_else(|| Refusal::validation("factor_type needs to be totp, phone, or webauthn"))?;
    let phone = match kind {
        FactorType::Phone => number(&auth, body.phone.as_deref())?,
        FactorType::Totp | FactorType::WebAuthn => None,
    };
    let friendly_name = body.friendly_name.unwrap_or_default();
    let enrolment = Enrolment { kind, friendly_name, issuer: body.issuer, phone };
    let enrolled = factor::enroll(&auth, caller, enrolment, &client).await?;
    let mut answer =
        json!({ "id": enrolled.id, "type": kind.as_str(), "friendly_name": enrolled.friendly_name });
    if let Some(key) = enrolled.key {
        answer["totp"] = app_key(&key)?;
    }
    if let (FactorType::Phone, Some(phone)) = (kind, body.phone) {
        answer["phone"] = phone.into();
    }
    let mut response = Json(answer).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The number of a factor. What the flow refuses altogether is refused before.
fn number(auth: &Auth, phone: Option<&str>) -> Result<Option<Phone>, Refusal> {
    if !auth.mfa.is_enabled(FactorType::Phone) {
        return Err(FactorError::Disabled(FactorType::Phone).into());
    }
    let phone = phone.filter(|phone| !phone.is_empty());
    let phone = phone.ok_or_else(|| Refusal::validation("Phone number required to enroll Phone factor"))?;
    Ok(Some(Phone::parse(phone)?))
}

fn app_key(key: &AppKey) -> Result<Value, Refusal> {
    let uri = otpauth_uri(&key.issuer, &key.account, &key.secret);
    let qr_code = qr_svg(&uri).ok_or_else(|| Refusal::validation("issuer is too long for a QR code"))?;
    Ok(json!({ "qr_code": qr_code, "secret": *key.secret, "uri": uri }))
}

pub(super) async fn challenge(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    id: FactorPath,
    body: Bytes,
) -> Result<Response, Refusal> {
    count(&auth, caller, &client).await?;
    let body: ChallengeBody = match body.is_empty() {
        true => ChallengeBody::default(),
        false => read_object(&body)?,
    };
    let asked = (factor_id(id)?, phone::channel(&auth, body.channel.as_deref())?);
    let challenged = phone_challenge::challenge(&auth, caller, asked, &client).await?;
    let mut answer = json!({
        "id": challenged.id,
        "type": challenged.kind.as_str(),
        "expires_at": challenged.expires_at.unix_timestamp(),
    });
    if let Some(webauthn) = challenged.webauthn {
        answer["webauthn"] = webauthn;
    }
    Ok(Json(answer).into_response())
}

pub(super) async fn verify(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    id: FactorPath,
    Body(body): Body<VerifyBody>,
) -> Result<Response, Refusal> {
    count(&auth, caller, &client).await?;
    let ids = (factor_id(id)?, body.challenge_id.unwrap_or_default());
    Ok(session_answer(verification::verify(&auth, caller, ids, body.answer()?, &client).await?))
}

pub(super) async fn unenroll(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    id: FactorPath,
) -> Result<Response, Refusal> {
    let id = factor_id(id)?;
    factor::unenroll(&auth, caller, id, &client).await?;
    Ok(Json(json!({ "id": id })).into_response())
}
