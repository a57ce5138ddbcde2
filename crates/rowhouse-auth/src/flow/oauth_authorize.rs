//! The begin of an authorization: an application sends the user's browser here, which is sent on to the consent page.

use rowhouse_crypto::OpaqueSecret;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::oauth_client;
use crate::oauth::client::Registration;
use crate::oauth::parameter::{Parameters, Repeated};
use crate::oauth::reply::Reply;
use crate::oauth::request::AuthorizationRequest;
use crate::request::Client;
use crate::store::oauth_authorization::{self, NewAuthorization};

/// Why a request is not even answered to the application: who it is, or where it is, is not certain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorizeError {
    #[error("{0} is required")]
    Missing(&'static str),
    #[error(transparent)]
    Repeated(#[from] Repeated),
    #[error("invalid client_id")]
    NoSuchClient,
    #[error("invalid redirect_uri")]
    OtherRedirect,
    /// A malformed request of an application that registered itself: anybody may have chosen its redirect URI, and nobody
    /// has agreed to it yet.
    #[error("{0}")]
    Malformed(String),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(AuthorizeError);

/// Where the browser goes.
#[derive(Debug)]
pub(crate) enum Begun {
    /// To the consent page.
    Consent(String),
    /// Back to the application, with an error.
    Refused(Reply),
}

/// `browser` is the digest of the cookie of the browser that asks.
pub(crate) async fn begin(
    auth: &Auth,
    sent: &Parameters,
    browser: String,
    from: &Client,
) -> Result<Begun, AuthorizeError> {
    let id = sent.one("client_id")?.ok_or(AuthorizeError::Missing("client_id"))?;
    let redirect_uri = sent.one("redirect_uri")?.ok_or(AuthorizeError::Missing("redirect_uri"))?;
    let id: Uuid = id.parse().map_err(|_| AuthorizeError::NoSuchClient)?;
    let client = oauth_client::find(auth, id, from).await?.ok_or(AuthorizeError::NoSuchClient)?;
    if !client.allows_redirect(redirect_uri) {
        return Err(AuthorizeError::OtherRedirect);
    }
    let request = match AuthorizationRequest::read(sent, &auth.oauth.default_scope) {
        Ok(request) => request,
        Err(error) if client.registration == Registration::Dynamic => {
            return Err(AuthorizeError::Malformed(error.to_string()));
        }
        Err(error) => {
            let state = sent.one("state").ok().flatten();
            let told = (error.code(), error.to_string());
            return Ok(Begun::Refused(Reply::error(redirect_uri, told, state, &auth.issuer)));
        }
    };
    let name = keep(auth, id, (redirect_uri.to_owned(), browser), request, from).await?;
    Ok(Begun::Consent(consent_page(auth, &name)))
}

/// Stores the request; its name.
async fn keep(
    auth: &Auth,
    client: Uuid,
    (redirect_uri, browser): (String, String),
    request: AuthorizationRequest,
    from: &Client,
) -> Result<String, Fault> {
    let (id, name, now) = (auth.new_id(), OpaqueSecret::generate(&*auth.rng), auth.now());
    let expires_at = now + auth.oauth.authorization_lifetime;
    let kept = name.clone();
    let insert = async move |db: &tokio_postgres::Client| {
        let (name, redirect_uri, request) = (kept.expose(), redirect_uri.as_str(), &request);
        let browser = browser.as_str();
        let new = NewAuthorization { id, name, client, redirect_uri, request, browser, expires_at };
        oauth_authorization::insert(db, new, now).await
    };
    auth.control.statement(&from.operation("auth.begin_authorization"), insert).await?;
    Ok(name.expose().to_owned())
}

fn consent_page(auth: &Auth, name: &str) -> String {
    let path = auth.oauth.authorization_path.as_deref().unwrap_or_default();
    format!("{}{path}?authorization_id={name}", auth.site.trim_end_matches('/'))
}
