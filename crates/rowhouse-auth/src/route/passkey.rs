//! /passkeys and /admin/users/{id}/passkeys.

use axum::Json;
use axum::extract::{Path, State, rejection::PathRejection};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::admin::{UserPath, user_id};
use super::factor::count;
use super::session_answer;
use crate::Auth;
use crate::flow::admin::AdminError;
use crate::flow::passkey::{self, Begun, PasskeyError};
use crate::flow::passkey_signin::{self, PasskeySignInError};
use crate::refusal::Refusal;
use crate::request::{Administrator, Body, Client, SignedIn};
use crate::store;

type PasskeyPath = Result<Path<Uuid>, PathRejection>;
type AdminPath = Result<Path<(String, String)>, PathRejection>;

/// A ceremony with the authenticator's answer.
#[derive(Debug, Deserialize)]
pub(super) struct AnswerBody {
    challenge_id: Option<String>,
    credential: Option<Value>,
    /// What a new passkey is called; else its model.
    friendly_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RenameBody {
    friendly_name: Option<String>,
}

impl From<PasskeyError> for Refusal {
    fn from(error: PasskeyError) -> Self {
        use StatusCode as S;
        let (status, code) = match error {
            PasskeyError::Holder(error) => return error.into(),
            PasskeyError::NeedsAal2 => (S::FORBIDDEN, "insufficient_aal"),
            PasskeyError::TooMany => (S::UNPROCESSABLE_ENTITY, "too_many_passkeys"),
            PasskeyError::ChallengeNotFound => (S::BAD_REQUEST, "webauthn_challenge_not_found"),
            PasskeyError::ChallengeExpired => (S::BAD_REQUEST, "webauthn_challenge_expired"),
            PasskeyError::Refused => (S::BAD_REQUEST, "webauthn_verification_failed"),
            PasskeyError::Registered => (S::UNPROCESSABLE_ENTITY, "webauthn_credential_exists"),
            PasskeyError::NoName | PasskeyError::NameTooLong => {
                return Self::validation(error.to_string());
            }
            PasskeyError::NotFound => (S::NOT_FOUND, "validation_failed"),
            PasskeyError::Fault(fault) => return fault.into(),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<PasskeySignInError> for Refusal {
    fn from(error: PasskeySignInError) -> Self {
        use StatusCode as S;
        let (status, code) = match error {
            PasskeySignInError::ChallengeNotFound => (S::BAD_REQUEST, "webauthn_challenge_not_found"),
            PasskeySignInError::ChallengeExpired => (S::BAD_REQUEST, "webauthn_challenge_expired"),
            PasskeySignInError::Refused => (S::BAD_REQUEST, "webauthn_verification_failed"),
            PasskeySignInError::EmailNotConfirmed => (S::FORBIDDEN, "email_not_confirmed"),
            PasskeySignInError::Banned => (S::FORBIDDEN, "user_banned"),
            PasskeySignInError::Fault(fault) => return fault.into(),
        };
        Self::new(status, code, error.to_string())
    }
}

fn require_enabled(auth: &Auth) -> Result<(), Refusal> {
    let disabled = || Refusal::new(StatusCode::NOT_FOUND, "passkey_disabled", "Passkeys are disabled");
    if auth.mfa.passkeys_enabled { Ok(()) } else { Err(disabled()) }
}

fn begun(begun: &Begun) -> Response {
    let expires_at = begun.expires_at.unix_timestamp();
    Json(json!({ "challenge_id": begun.id, "options": begun.options, "expires_at": expires_at }))
        .into_response()
}

impl AnswerBody {
    fn read<T: DeserializeOwned>(self) -> Result<(Uuid, T), Refusal> {
        let required = |name: &str| Refusal::validation(format!("{name} is required"));
        let id = self.challenge_id.filter(|id| !id.is_empty()).ok_or_else(|| required("challenge_id"))?;
        let credential = self.credential.ok_or_else(|| required("credential"))?;
        let id = id.parse().map_err(|_| Refusal::validation("challenge_id must be a valid UUID"))?;
        let code = "webauthn_verification_failed";
        let credential = T::deserialize(credential)
            .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, code, "Invalid credential response"))?;
        Ok((id, credential))
    }
}

pub(super) async fn begin_registration(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
) -> Result<Response, Refusal> {
    require_enabled(&auth)?;
    count(&auth, caller, &client).await?;
    Ok(begun(&passkey::begin(&auth, caller, &client).await?))
}

pub(super) async fn register(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    Body(body): Body<AnswerBody>,
) -> Result<Response, Refusal> {
    require_enabled(&auth)?;
    count(&auth, caller, &client).await?;
    let name = body.friendly_name.clone();
    let (id, creation) = body.read()?;
    Ok(Json(passkey::register(&auth, caller, id, (creation, name), &client).await?).into_response())
}

pub(super) async fn begin_signin(State(auth): State<Auth>, client: Client) -> Result<Response, Refusal> {
    require_enabled(&auth)?;
    auth.signin_limit.check(&client).await?;
    Ok(begun(&passkey_signin::begin(&auth, &client).await?))
}

pub(super) async fn sign_in(
    State(auth): State<Auth>,
    client: Client,
    Body(body): Body<AnswerBody>,
) -> Result<Response, Refusal> {
    require_enabled(&auth)?;
    auth.signin_limit.check(&client).await?;
    let (id, proof) = body.read()?;
    Ok(session_answer(passkey_signin::sign_in(&auth, id, proof, &client).await?))
}

pub(super) async fn list(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
) -> Result<Response, Refusal> {
    require_enabled(&auth)?;
    Ok(Json(passkey::list(&auth, caller, &client).await?).into_response())
}

pub(super) async fn rename(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    id: PasskeyPath,
    Body(body): Body<RenameBody>,
) -> Result<Response, Refusal> {
    require_enabled(&auth)?;
    let (id, name) = (passkey_id(id)?, body.friendly_name.unwrap_or_default());
    Ok(Json(passkey::rename(&auth, caller, id, name, &client).await?).into_response())
}

pub(super) async fn delete(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    id: PasskeyPath,
) -> Result<Response, Refusal> {
    require_enabled(&auth)?;
    passkey::delete(&auth, caller, passkey_id(id)?, &client).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn passkey_id(path: PasskeyPath) -> Result<Uuid, Refusal> {
    path.map(|Path(id)| id).map_err(|_| PasskeyError::NotFound.into())
}

pub(super) async fn admin_list(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    path: UserPath,
) -> Result<Response, Refusal> {
    let user = user_id(path)?;
    let list = async move |db: &tokio_postgres::Client| {
        tokio::try_join!(store::user::find(db, user), store::passkey::list(db, user))
    };
    let found = auth.control.statement(&client.operation("auth.admin_list_passkeys"), list).await;
    let (row, passkeys) = found.map_err(|fault: crate::fault::Fault| fault)?;
    row.ok_or(AdminError::NoSuchUser)?;
    Ok(Json(passkeys).into_response())
}

pub(super) async fn admin_delete(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    path: AdminPath,
) -> Result<Response, Refusal> {
    let ids = path.ok().and_then(|Path((user, id))| Some((user.parse().ok()?, id.parse().ok()?)));
    let (user, id) = ids.ok_or(PasskeyError::NotFound)?;
    passkey::admin_delete(&auth, user, id, &client).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
