//! POST /token?grant_type=id_token

use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::external::linking_disabled;
use super::session_answer;
use crate::Auth;
use crate::flow::external::id_token::{self, IdTokenError, IdTokenGrant};
use crate::refusal::Refusal;
use crate::request::{Client, SignedIn};

#[derive(Debug, Default, Deserialize)]
pub(super) struct IdTokenBody {
    provider: Option<String>,
    issuer: Option<String>,
    id_token: Option<String>,
    access_token: Option<String>,
    nonce: Option<String>,
    #[serde(default)]
    link_identity: bool,
}

/// `caller` is needed to link an identity only.
pub(super) async fn sign_in(
    auth: &Auth,
    body: IdTokenBody,
    caller: Result<SignedIn, Refusal>,
    client: &Client,
) -> Result<Response, Refusal> {
    auth.refresh_limit.check(client).await?;
    let link_to = if body.link_identity { Some(caller?) } else { None };
    let grant = IdTokenGrant {
        provider: body.provider.unwrap_or_default(),
        issuer: body.issuer.unwrap_or_default(),
        id_token: body.id_token.unwrap_or_default(),
        access_token: body.access_token.filter(|token| !token.is_empty()),
        nonce: body.nonce.unwrap_or_default(),
        link_to,
    };
    Ok(session_answer(id_token::sign_in(auth, grant, client).await?))
}

impl From<IdTokenError> for Refusal {
    fn from(error: IdTokenError) -> Self {
        let message = error.to_string();
        match error {
            IdTokenError::NoToken
            | IdTokenError::NoProvider
            | IdTokenError::NotOidc(_)
            | IdTokenError::NotAllowed(_)
            | IdTokenError::OtherIssuer => Self::validation(message),
            IdTokenError::BadToken(cause) => {
                tracing::info!(error = %cause, "an ID token was refused");
                Self::validation(message)
            }
            IdTokenError::Unreachable(cause) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message).because(cause)
            }
            IdTokenError::Disabled(_) => Self::new(StatusCode::BAD_REQUEST, "provider_disabled", message),
            IdTokenError::LinkingDisabled => linking_disabled(message),
            IdTokenError::NotLive(error) => error.into(),
            IdTokenError::Admit(error) => error.into(),
            IdTokenError::Link(error) => error.into(),
            IdTokenError::Fault(fault) => fault.into(),
        }
    }
}
