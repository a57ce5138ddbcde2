//! GET and DELETE /user/oauth/grants: what the user has allowed applications.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::oauth_dialect::OauthServer;
use crate::Auth;
use crate::flow::oauth_grant::{self, GrantError};
use crate::refusal::Refusal;
use crate::request::{Client, Params, SignedIn};
use crate::store::oauth_consent::Consent;

#[derive(Debug, Deserialize)]
pub(super) struct Of {
    client_id: Option<String>,
}

pub(super) async fn list(
    State(auth): State<Auth>,
    caller: SignedIn,
    _: OauthServer,
    client: Client,
) -> Result<Response, Refusal> {
    let grants = oauth_grant::list(&auth, caller, &client).await?;
    Ok(Json(grants.into_iter().map(shown).collect::<Vec<_>>()).into_response())
}

pub(super) async fn revoke(
    State(auth): State<Auth>,
    caller: SignedIn,
    _: OauthServer,
    client: Client,
    Params(of): Params<Of>,
) -> Result<Response, Refusal> {
    auth.refresh_limit.check_user(caller.user, &client).await?;
    let id = of.client_id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Refusal::validation("client_id query parameter is required"))?;
    let id: Uuid = id.parse().map_err(|_| Refusal::validation("invalid client_id format"))?;
    oauth_grant::revoke(&auth, caller, id, &client).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn shown(consent: Consent) -> Value {
    let mut about = json!({ "id": consent.client });
    for (name, text) in [("name", consent.name), ("uri", consent.uri), ("logo_uri", consent.logo_uri)] {
        if let Some(text) = text {
            about[name] = text.into();
        }
    }
    let granted_at = consent.granted_at.format(&Rfc3339).ok();
    json!({ "client": about, "scopes": consent.scopes.names(), "granted_at": granted_at })
}

impl From<GrantError> for Refusal {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::NotLive(error) => error.into(),
            GrantError::NotFound => {
                Self::new(StatusCode::NOT_FOUND, "oauth_consent_not_found", error.to_string())
            }
            GrantError::Fault(fault) => fault.into(),
        }
    }
}
