//! Extractors: the client, the signed-in user, the administrator, the JSON body.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use http::request::Parts;
use http::{StatusCode, header};
use rowhouse_crypto::TokenError;
use rowhouse_http::limit::RateReport;
use rowhouse_http::{ClientAddress, Identity, ServiceKey, ServiceKeyError};
use rowhouse_kernel::{Caller, Operation, Origin, SessionId, SharedClock, UserId};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

use crate::Auth;
use crate::fault::Fault;
use crate::language;
use crate::live::NotLive;
use crate::model::Object;
use crate::refusal::Refusal;

/// Why a caller is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallerError {
    /// No bearer where one is required.
    #[error("This endpoint requires a valid Bearer token")]
    NoAuthorization,
    /// A bearer token that is not valid.
    #[error("invalid JWT: unable to parse or verify signature, {0}")]
    BadJwt(TokenError),
    /// A valid token without a user (an API key) where a user is required.
    #[error("invalid claim: missing sub claim")]
    MissingSubject,
    /// A valid token whose subject is no user's id.
    #[error("invalid claim: sub claim must be a UUID")]
    ForeignSubject,
    /// An administrator's endpoint with a token of another role.
    #[error("User not allowed")]
    NotAdmin,
    /// An application's token where only the user's own counts.
    #[error("The token of an application is not accepted here")]
    Delegated,
    /// An operator's token for a user, where only the user decides.
    #[error("An operator who acts as the user may not do this")]
    Impersonated,
}

impl From<TokenError> for CallerError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::NotAUuid("sub") => Self::ForeignSubject,
            error => Self::BadJwt(error),
        }
    }
}

/// Why a request's query or body cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// A parameter is malformed.
    #[error("{0}")]
    Query(String),
    /// The body is not the JSON that was expected.
    #[error("Could not parse request body as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The body ended early.
    #[error("Could not parse request body as JSON: the body ended early")]
    Unread,
    /// The body exceeds `auth.max_body_bytes`.
    #[error("Request body is too large")]
    TooLarge,
}

/// The client of a request.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) origin: Origin,
    pub(crate) address: Option<IpAddr>,
    pub(crate) rates: RateReport,
    pub(crate) user_agent: Option<String>,
    /// The language that it prefers.
    pub(crate) language: Option<String>,
}

impl Client {
    /// The program itself, in a job that a request has enqueued.
    pub(crate) fn of_job(request_id: Option<&str>, clock: &SharedClock) -> Self {
        Self {
            origin: Origin { request_id: request_id.map(Arc::from), ..Origin::system(clock) },
            address: None,
            rates: RateReport::default(),
            user_agent: None,
            language: None,
        }
    }

    /// An operation of this request.
    pub(crate) fn operation(&self, name: &'static str) -> Operation {
        self.origin.operation(name)
    }
}

impl FromRequestParts<Auth> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, auth: &Auth) -> Result<Self, Infallible> {
        let languages = parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let origin = parts.extensions.get::<Origin>().cloned();
        let origin = origin.unwrap_or_else(|| Origin::system(&auth.clock));
        Ok(Self {
            user_agent: origin.user_agent.as_deref().map(str::to_owned),
            origin,
            address: parts.extensions.get::<ClientAddress>().map(|address| address.0),
            rates: parts.extensions.get::<RateReport>().cloned().unwrap_or_default(),
            language: languages.and_then(language::preferred),
        })
    }
}

/// A caller with a verified token of a user's own session. Whether user and session are still valid is checked with the
/// first query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedIn {
    pub(crate) user: UserId,
    /// Absent only in tokens signed with the legacy secret.
    pub(crate) session: Option<SessionId>,
}

impl SignedIn {
    /// For operations on the session itself.
    pub(crate) fn require_session(self) -> Result<SessionId, NotLive> {
        self.session.ok_or(NotLive::SessionNotFound)
    }
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let AnyOwn { caller, is_impersonated } = AnyOwn::from_request_parts(parts, &()).await?;
        if is_impersonated { Err(CallerError::Impersonated.into()) } else { Ok(caller) }
    }
}

/// The same, or an operator who acts as the user: for what does not outlive the session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnyOwn {
    pub(crate) caller: SignedIn,
    pub(crate) is_impersonated: bool,
}

impl<S: Sync> FromRequestParts<S> for AnyOwn {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let found = caller(parts)?;
        let caller = signed_in(found)?;
        if found.is_delegated() {
            return Err(CallerError::Delegated.into());
        }
        Ok(Self { caller, is_impersonated: found.impersonation().is_some() })
    }
}

fn signed_in(caller: &Caller) -> Result<SignedIn, CallerError> {
    match caller.user {
        Some(user) => Ok(SignedIn { user, session: caller.session }),
        None if names_a_subject(caller) => Err(CallerError::ForeignSubject),
        None => Err(CallerError::MissingSubject),
    }
}

/// A user, or an application on the user's behalf: for what applications may read.
#[derive(Debug, Clone)]
pub(crate) struct AnySignedIn {
    pub(crate) caller: SignedIn,
    /// What the user has allowed the application; none in a token of the user's own.
    pub(crate) scope: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for AnySignedIn {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let caller = caller(parts)?;
        let scope = caller.is_delegated().then(|| claim_text(caller, "scope").unwrap_or_default());
        Ok(Self { caller: signed_in(caller)?, scope })
    }
}

/// GoTrue's second role of administrators. Only keys of other issuers give it, to tokens without a user.
const SUPABASE_ADMIN: &str = "supabase_admin";

/// A caller with the service key, a user of that role with a live session, or GoTrue's own administrator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Administrator;

impl FromRequestParts<Auth> for Administrator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, auth: &Auth) -> Result<Self, Refusal> {
        let caller = caller(parts)?;
        if caller.is_delegated() || caller.impersonation().is_some() {
            return Err(CallerError::NotAdmin.into());
        }
        if &*caller.role == SUPABASE_ADMIN && caller.user.is_none() && caller.session.is_none() {
            return Ok(Self);
        }
        match ServiceKey::from_request_parts(parts, auth).await {
            Ok(_) => Ok(Self),
            Err(ServiceKeyError::Db(error)) => Err(Fault::from(error).into()),
            Err(ServiceKeyError::BadToken(error)) => Err(CallerError::BadJwt(error).into()),
            Err(ServiceKeyError::Ended) => Err(NotLive::SessionNotFound.into()),
            Err(ServiceKeyError::NoToken | ServiceKeyError::NotService) => Err(CallerError::NotAdmin.into()),
        }
    }
}

/// Whether the claims have a subject, which then is no UUID.
fn names_a_subject(caller: &Caller) -> bool {
    claim_text(caller, "sub").is_some_and(|sub| !sub.is_empty())
}

fn claim_text(caller: &Caller, name: &str) -> Option<String> {
    let claims: Object = serde_json::from_str(&caller.claims).ok()?;
    claims.get(name)?.as_str().map(str::to_owned)
}

/// The caller, if a token was presented at all. A header of another scheme presents none.
fn caller(parts: &Parts) -> Result<&Arc<Caller>, CallerError> {
    let scheme = parts.headers.get(header::AUTHORIZATION).map(|value| value.as_bytes().get(..7));
    if scheme.is_some_and(|scheme| !scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))) {
        return Err(CallerError::NoAuthorization);
    }
    let identity = parts.extensions.get::<Identity>().ok_or(CallerError::NoAuthorization)?;
    let caller = identity.caller().map_err(|error| CallerError::from(*error))?;
    let bare =
        caller.is_anonymous() && caller.user.is_none() && !parts.headers.contains_key(header::AUTHORIZATION);
    if bare { Err(CallerError::NoAuthorization) } else { Ok(caller) }
}

/// The query string.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(InputError::Query(rejection.body_text()).into()),
        }
    }
}

/// Where the answer to this request, or the link in its mail, is to lead: the query's or the header's `redirect_to`, else
/// the page that made the request; if neither is allowed, the site's URL.
#[derive(Debug)]
pub(crate) struct RedirectTo(pub(crate) String);

impl FromRequestParts<Auth> for RedirectTo {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, auth: &Auth) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        let asked = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "redirect_to");
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let asked = asked.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty());
        let asked = asked.as_deref().or_else(|| header("redirect_to"));
        Ok(Self(auth.targets.choose([asked, header("referer")])))
    }
}

/// A JSON body, whatever its content type says.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| refuse(&rejection))?;
        Ok(Self(read_object(&bytes)?))
    }
}

/// Parses into an object first: parsed directly, a list would be accepted as the fields in order, and errors would
/// name Rust types.
pub(crate) fn read_object<T: DeserializeOwned>(json: &[u8]) -> Result<T, InputError> {
    let object: Object = serde_json::from_slice(json)?;
    Ok(T::deserialize(Value::Object(object))?)
}

fn refuse(rejection: &BytesRejection) -> InputError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => InputError::TooLarge,
        _ => InputError::Unread,
    }
}
