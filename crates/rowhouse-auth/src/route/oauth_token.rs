//! POST /oauth/token; GET and POST /oauth/userinfo.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use rowhouse_kernel::Secret;
use serde_json::json;
use url::form_urlencoded;

use super::oauth_dialect::{OauthRefusal, OauthServer, whole};
use crate::Auth;
use crate::flow::account::AccountError;
use crate::flow::oauth_profile;
use crate::flow::oauth_token::{self, Credentials, Exchange, OauthTokenError, Tokens};
use crate::flow::refresh::RefreshError;
use crate::model::Object;
use crate::oauth::client::{AuthMethod, GrantType, OauthClient};
use crate::oauth::parameter::Parameters;
use crate::refusal::Refusal;
use crate::request::{AnySignedIn, Client, read_object};

pub(super) async fn post(
    State(auth): State<Auth>,
    _: OauthServer,
    client: Client,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, OauthRefusal> {
    let sent = read(&headers, body)?;
    let kind =
        sent.one("grant_type")?.ok_or_else(|| OauthRefusal::invalid_request("grant_type is required"))?;
    let application = authenticate(&auth, credentials(&headers, &sent)?, &client).await?;
    let tokens = match GrantType::parse(kind) {
        Some(GrantType::AuthorizationCode) => {
            oauth_token::exchange(&auth, &application, exchange(&sent)?, &client).await?
        }
        Some(GrantType::RefreshToken) => {
            let token = sent.one("refresh_token")?;
            let token = token.ok_or_else(|| OauthRefusal::invalid_request("refresh_token is required"))?;
            oauth_token::refresh(&auth, &application, (token, sent.one("scope")?), &client).await?
        }
        None => return Err(OauthRefusal::new("unsupported_grant_type", "Unsupported grant type")),
    };
    Ok(answer(tokens))
}

/// Counted before the database is asked, so that a flood of guesses costs it nothing. An administrator's application with the
/// secret that it had when it was last read here is not counted: it asks for all its users from one address, which it may
/// share with the flood. One that registered itself is: anybody can have a secret that way.
async fn authenticate(
    auth: &Auth,
    credentials: Credentials,
    client: &Client,
) -> Result<OauthClient, OauthRefusal> {
    if !auth.known_secrets.has(&credentials.id, credentials.secret.as_ref()) {
        auth.refresh_limit.check(client).await.map_err(Refusal::from)?;
    }
    Ok(oauth_token::authenticate(auth, credentials, client).await?)
}

/// A form, or JSON as GoTrue takes it.
fn read(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Parameters, OauthRefusal> {
    let body = whole(body)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.contains("application/json") {
        return Ok(Parameters::of_form(&body));
    }
    let object: Object =
        read_object(&body).map_err(|_| OauthRefusal::invalid_request("Invalid JSON body"))?;
    Ok(Parameters::of_object(object))
}

/// By exactly one method (RFC 6749 section 2.3).
fn credentials(headers: &HeaderMap, sent: &Parameters) -> Result<Credentials, OauthRefusal> {
    let (id, secret) = (sent.one("client_id")?, sent.one("client_secret")?);
    let basic =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(strip_basic);
    if let Some(encoded) = basic {
        let unreadable = || OauthRefusal::invalid_client("Invalid basic authentication");
        let (basic_id, basic_secret) = read_basic(encoded).ok_or_else(unreadable)?;
        if secret.is_some() || id.is_some_and(|id| id != basic_id) {
            return Err(OauthRefusal::invalid_request("more than one method of client authentication"));
        }
        let secret = Some(Secret::new(basic_secret));
        return Ok(Credentials { id: basic_id, secret, method: AuthMethod::Basic });
    }
    let id = id.ok_or_else(|| OauthRefusal::invalid_client("client_id is required"))?.to_owned();
    let method = if secret.is_some() { AuthMethod::Post } else { AuthMethod::None };
    Ok(Credentials { id, secret: secret.map(Secret::new), method })
}

/// The scheme is case-insensitive (RFC 9110 section 11.1).
fn strip_basic(value: &str) -> Option<&str> {
    let (scheme, rest) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then_some(rest.trim())
}

/// Id and secret, each encoded as in a form (RFC 6749 section 2.3.1).
fn read_basic(encoded: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((decoded(id)?, decoded(secret)?))
}

/// A text of a form; what has `=` or `&` was not encoded.
fn decoded(text: &str) -> Option<String> {
    if text.contains(['=', '&']) {
        return None;
    }
    form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned())
}

fn exchange(sent: &Parameters) -> Result<Exchange, OauthRefusal> {
    let need = |name: &'static str| {
        let found = sent.one(name)?;
        found.map(str::to_owned).ok_or_else(|| OauthRefusal::invalid_request(format!("{name} is required")))
    };
    Ok(Exchange {
        code: need("code")?,
        verifier: need("code_verifier")?,
        redirect_uri: sent.one("redirect_uri")?.map(str::to_owned),
        resource: sent.one("resource")?.map(str::to_owned),
    })
}

/// Never cached (RFC 6749 section 5.1).
fn answer(tokens: Tokens) -> Response {
    let Tokens { session, scopes, is_refreshable, id_token } = tokens;
    let mut body = json!({
        "access_token": session.access_token,
        "token_type": session.token_type,
        "expires_in": session.expires_in,
        "scope": scopes.to_string(),
    });
    if is_refreshable {
        body["refresh_token"] = session.refresh_token.into();
    }
    if let Some(id_token) = id_token {
        body["id_token"] = id_token.into();
    }
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Errors are those of RFC 6750.
pub(super) async fn user_info(
    State(auth): State<Auth>,
    _: OauthServer,
    caller: Result<AnySignedIn, Refusal>,
    client: Client,
) -> Result<Response, OauthRefusal> {
    let caller = caller.map_err(|refusal| OauthRefusal::invalid_token(refusal.message))?;
    let found = oauth_profile::find(&auth, caller, &client).await;
    let claims = found.map_err(|error| match error {
        AccountError::NotLive(error) => OauthRefusal::invalid_token(error.to_string()),
        error => Refusal::from(error).into(),
    })?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(claims)).into_response())
}

impl From<OauthTokenError> for OauthRefusal {
    fn from(error: OauthTokenError) -> Self {
        let message = error.to_string();
        match error {
            OauthTokenError::Client => Self::invalid_client(message),
            OauthTokenError::Unauthorized(_) => Self::new("unauthorized_client", message),
            OauthTokenError::Grant(_) => Self::new("invalid_grant", message),
            OauthTokenError::Scope => Self::new("invalid_scope", message),
            OauthTokenError::Refresh(RefreshError::Fault(fault)) | OauthTokenError::Fault(fault) => {
                Refusal::from(fault).into()
            }
            OauthTokenError::Refresh(_) => Self::new("invalid_grant", message),
        }
    }
}
