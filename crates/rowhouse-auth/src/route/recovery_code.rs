//! /factors/recovery_codes: codes for users who have lost their second factor.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::factor::count;
use super::session_answer;
use crate::Auth;
use crate::flow::recovery_code::{self, RecoveryCodeError};
use crate::refusal::Refusal;
use crate::request::{Body, Client, SignedIn};

#[derive(Debug, Deserialize)]
pub(super) struct CodeBody {
    code: Option<String>,
}

impl From<RecoveryCodeError> for Refusal {
    fn from(error: RecoveryCodeError) -> Self {
        let (status, code) = match error {
            RecoveryCodeError::Holder(error) => return error.into(),
            RecoveryCodeError::NeedsAal2 => (StatusCode::FORBIDDEN, "insufficient_aal"),
            RecoveryCodeError::WrongCode => (StatusCode::UNPROCESSABLE_ENTITY, "mfa_verification_failed"),
            RecoveryCodeError::Fault(fault) => return fault.into(),
        };
        Self::new(status, code, error.to_string())
    }
}

pub(super) async fn get(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
) -> Result<Response, Refusal> {
    let remaining = recovery_code::count(&auth, caller, &client).await?;
    Ok(Json(json!({ "remaining": remaining })).into_response())
}

pub(super) async fn issue(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
) -> Result<Response, Refusal> {
    count(&auth, caller, &client).await?;
    let codes = recovery_code::issue(&auth, caller, &client).await?;
    let mut response = Json(json!({ "codes": codes })).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(super) async fn verify(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    Body(body): Body<CodeBody>,
) -> Result<Response, Refusal> {
    count(&auth, caller, &client).await?;
    let code = body.code.filter(|code| !code.is_empty());
    let code = code.ok_or_else(|| Refusal::validation("Code needs to be non-empty"))?;
    Ok(session_answer(recovery_code::verify(&auth, caller, code, &client).await?))
}
