//! The token endpoint: who the application is, and the exchange of its codes and refresh tokens.

use rowhouse_crypto::{Purpose, digest_hex};
use rowhouse_db::Transaction;
use rowhouse_kernel::Secret;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::oauth_client;
use crate::flow::refresh::{self, RefreshError};
use crate::flow::session::{self, Grant};
use crate::method::Method;
use crate::model::{Session, User};
use crate::oauth::Delegation;
use crate::oauth::client::{AuthMethod, GrantType, OauthClient};
use crate::oauth::id_token::{self, Occasion};
use crate::oauth_scope::{Scope, Scopes};
use crate::request::Client;
use crate::store::oauth_authorization::{self, Authorization};
use crate::store::{oauth_consent, user};

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OauthTokenError {
    /// Unknown, with a wrong secret, or with another method than the registered one.
    #[error("Client authentication failed")]
    Client,
    #[error("Client is not allowed to use grant type: {}", .0.as_str())]
    Unauthorized(GrantType),
    /// The code or refresh token is not this application's, was used, or has expired.
    #[error("{0}")]
    Grant(&'static str),
    #[error("scope must be among those that were granted")]
    Scope,
    #[error(transparent)]
    Refresh(#[from] RefreshError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(OauthTokenError);

/// The application is a product's, and the entitlement has ended since the user agreed.
const NOT_ENTITLED: OauthTokenError = OauthTokenError::Grant("The user is not entitled to this product");

/// How the application says who it is.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) id: String,
    pub(crate) secret: Option<Secret>,
    pub(crate) method: AuthMethod,
}

/// A code with what it is bound to.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) code: String,
    pub(crate) verifier: String,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) resource: Option<String>,
}

/// What the application gets.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) session: Session,
    pub(crate) scopes: Scopes,
    /// Whether it may refresh.
    pub(crate) is_refreshable: bool,
    pub(crate) id_token: Option<String>,
}

/// What was decided. A replay is no error yet: the session has to be ended first.
enum Decided {
    Granted(Box<(Grant, Authorization)>),
    Replayed,
}

/// The application of these credentials.
pub(crate) async fn authenticate(
    auth: &Auth,
    credentials: Credentials,
    from: &Client,
) -> Result<OauthClient, OauthTokenError> {
    let id: Uuid = credentials.id.parse().map_err(|_| OauthTokenError::Client)?;
    let client = oauth_client::find(auth, id, from).await?.ok_or(OauthTokenError::Client)?;
    auth.known_secrets.learn(&client);
    let is_genuine = match &credentials.secret {
        Some(secret) => client.has_secret(secret.expose()),
        None => client.is_public(),
    };
    if is_genuine && credentials.method == client.auth_method {
        Ok(client)
    } else {
        Err(OauthTokenError::Client)
    }
}

/// Exchanges a code once. A second use ends what the first has given: one of the two was a thief's (OAuth 2.1 section 4.1.3).
pub(crate) async fn exchange(
    auth: &Auth,
    application: &OauthClient,
    sent: Exchange,
    client: &Client,
) -> Result<Tokens, OauthTokenError> {
    require_grant(application, GrantType::AuthorizationCode)?;
    let (service, from, id, now) = (auth.clone(), client.clone(), application.id, auth.now());
    let work = async move |tx: &Transaction<'_>| {
        let found = oauth_authorization::lock_by_code(tx, &digest_hex(&sent.code)).await?;
        let asked = found.filter(|asked| asked.client == id);
        let asked = asked.ok_or(OauthTokenError::Grant("Invalid authorization code"))?;
        if asked.consumed_at.is_some() {
            if let Some(session) = asked.session {
                oauth_consent::end_session(tx, session).await?;
            }
            return Ok(Decided::Replayed);
        }
        require_bound(&asked, &sent, now)?;
        let grant = open(&service, tx, &asked, &from, now).await?;
        oauth_authorization::consume(tx, asked.id, grant.session.id, now).await?;
        Ok(Decided::Granted(Box::new((grant, asked))))
    };
    let decided: Result<Decided, OauthTokenError> =
        auth.control.run_tx(&client.operation("auth.exchange_authorization"), work).await;
    let Decided::Granted(granted) = decided? else {
        tracing::warn!(client = %id, "an authorization code was used twice; the session that it gave has been ended");
        return Err(OauthTokenError::Grant("Authorization code was already used"));
    };
    let (grant, asked) = *granted;
    let session = grant.sign(auth, client, now).await?;
    let id_token = id_token(auth, &session, &asked, now)?;
    let is_refreshable = application.may_use(GrantType::RefreshToken);
    Ok(Tokens { session, scopes: asked.scopes, is_refreshable, id_token })
}

/// Rotates an application's refresh token, for the scopes that were granted or for some of them.
pub(crate) async fn refresh(
    auth: &Auth,
    application: &OauthClient,
    (token, scope): (&str, Option<&str>),
    client: &Client,
) -> Result<Tokens, OauthTokenError> {
    require_grant(application, GrantType::RefreshToken)?;
    let invalid = OauthTokenError::Grant("Invalid refresh token");
    let Ok(token) = auth.client_refresh_key.read(token) else { return Err(invalid) };
    let (session, id) = (token.session.0, application.id);
    let find = async move |db: &tokio_postgres::Client| oauth_consent::find_session(db, session, id).await;
    let operation = client.operation("auth.find_client_session");
    let granted: Result<_, Fault> = auth.control.statement(&operation, find).await;
    let Some(granted) = granted? else { return Err(invalid) };
    if !granted.may_enter {
        return Err(NOT_ENTITLED);
    }
    let scopes = match scope {
        None => granted.scopes,
        Some(wanted) => {
            let wanted = Scopes::parse(wanted).filter(|wanted| granted.scopes.covers(wanted));
            wanted.ok_or(OauthTokenError::Scope)?
        }
    };
    let delegation = Delegation { client: id, scopes: scopes.clone() };
    let refreshed = refresh::refresh_delegated(auth, token, delegation, client).await?;
    Ok(Tokens { session: refreshed.session, scopes, is_refreshable: true, id_token: None })
}

fn require_grant(application: &OauthClient, grant: GrantType) -> Result<(), OauthTokenError> {
    if application.may_use(grant) { Ok(()) } else { Err(OauthTokenError::Unauthorized(grant)) }
}

/// A code is bound to its application, its redirect URI, its challenge and its resource.
fn require_bound(asked: &Authorization, sent: &Exchange, now: OffsetDateTime) -> Result<(), OauthTokenError> {
    let refuse = |holds: bool, why| if holds { Ok(()) } else { Err(OauthTokenError::Grant(why)) };
    refuse(asked.is_approved && asked.expires_at > now, "Authorization code has expired")?;
    let is_same_redirect = sent.redirect_uri.as_ref().is_none_or(|uri| *uri == asked.redirect_uri);
    refuse(is_same_redirect, "Invalid redirect_uri")?;
    let is_same_resource = sent.resource.is_none() || sent.resource == asked.resource;
    refuse(is_same_resource, "Authorization code resource does not match the resource parameter")?;
    let is_proved =
        asked.challenge.as_ref().is_some_and(|challenge| challenge.require(&sent.verifier).is_ok());
    refuse(is_proved, "PKCE verification failed")
}

async fn open(
    auth: &Auth,
    tx: &Transaction<'_>,
    asked: &Authorization,
    from: &Client,
    now: OffsetDateTime,
) -> Result<Grant, OauthTokenError> {
    let user = asked.user.ok_or(OauthTokenError::Grant("Authorization code has no associated user"))?;
    let row = user::find(tx, user).await?.filter(|row| row.user.deleted_at.is_none());
    let user = row.ok_or(OauthTokenError::Grant("User not found for authorization code"))?.user;
    if user.is_banned(now) {
        return Err(OauthTokenError::Grant("User is banned"));
    }
    if !oauth_consent::enter(tx, user.id, asked.client).await? {
        return Err(NOT_ENTITLED);
    }
    let delegation = Delegation { client: asked.client, scopes: asked.scopes.clone() };
    let new = session::new_session(auth, user.id, Method::OauthAuthorizationCode.into());
    let others = i64::from(auth.settings.max_sessions_per_user.max(1) - 1);
    let new = crate::store::session::NewSession { others, ..new };
    let (session, membership) =
        oauth_consent::open_session(tx, new, (&delegation, asked.factor), from, now).await?;
    let (counter, delegation) = (session::FIRST_COUNTER, Some(delegation));
    Ok(Grant { user, session, membership, counter, delegation })
}

/// The ID token, if it was asked for.
fn id_token(
    auth: &Auth,
    session: &Session,
    asked: &Authorization,
    now: OffsetDateTime,
) -> Result<Option<String>, Fault> {
    if !asked.scopes.has(Scope::OpenId) {
        return Ok(None);
    }
    let ring = auth.keys.ring();
    let signer = ring.signing_kid(Purpose::Access);
    let key = ring.jwks().keys.iter().find(|key| key.kid == signer);
    // The digest of the access token is told where its hash is the one at hand.
    let has_sha256 = key.is_some_and(|key| key.alg.as_str().ends_with("256"));
    let user: &User = &session.user;
    let occasion = Occasion {
        issuer: &auth.issuer,
        delegation: &Delegation { client: asked.client, scopes: asked.scopes.clone() },
        session: session.session_id,
        nonce: asked.nonce.as_deref(),
        authenticated_at: asked.authenticated_at.unwrap_or(now),
        issued_at: now,
        expires_at: now + auth.settings.access_token_lifetime,
        access_token: has_sha256.then_some(session.access_token.as_str()),
    };
    Ok(Some(ring.sign(&id_token::claims(user, &occasion), Purpose::Access)?))
}
