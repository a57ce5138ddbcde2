//! Callers whose token is still true: the bearer of a service key, or a user whose session, role and tenant are looked up
//! and match the token. Authorization is left to the surfaces.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use rowhouse_crypto::TokenError;
use rowhouse_db::{Control, DbError};
use rowhouse_kernel::{Caller, Origin};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::{Identity, ProvenLive};
use crate::Dialect;

/// Name of the look-up's statement.
const OPERATION: &str = "http.require_live";
/// SQLSTATEs of `rowhouse.require_live_session`: the session, the tenant or the role that a token names is over.
pub const SESSION_ENDED: [&str; 2] = ["RH401", "RH403"];

/// Extractor: an authenticated caller whose session is live. The state has to have a [`Control`].
#[derive(Debug, Clone)]
pub struct LiveCaller(Arc<Caller>);

/// Why a caller is not let through.
#[derive(Debug, thiserror::Error)]
pub enum LiveCallerError {
    /// No token was presented.
    #[error("a bearer token is needed")]
    NoToken,
    /// The token is invalid.
    #[error("the token is refused: {0}")]
    BadToken(TokenError),
    /// The session has ended, the tenant is closed, or the user has another role now.
    #[error("the session has ended")]
    Ended,
    /// An application's token, where a user's own is needed.
    #[error("the token of an application is not accepted here")]
    Delegated,
    /// The session cannot be looked up.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl LiveCaller {
    /// Requires the identity's caller to be authenticated and live.
    ///
    /// # Errors
    /// [`LiveCallerError`].
    pub async fn require(
        identity: &Identity,
        control: &Control,
        origin: &Origin,
    ) -> Result<Self, LiveCallerError> {
        let caller = identity.caller().map_err(|error| LiveCallerError::BadToken(*error))?;
        if caller.is_anonymous() && caller.user.is_none() {
            return Err(LiveCallerError::NoToken);
        }
        if caller.is_delegated() {
            return Err(LiveCallerError::Delegated);
        }
        match look_up_session(caller, control, origin).await? {
            true => Ok(Self(Arc::clone(caller))),
            false => Err(LiveCallerError::Ended),
        }
    }
}

impl Deref for LiveCaller {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

/// Identity and origin are set by the layer.
impl<S: Send + Sync> FromRequestParts<S> for LiveCaller
where
    Control: FromRef<S>,
{
    type Rejection = LiveCallerError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, LiveCallerError> {
        let identity = parts.extensions.get::<Identity>().ok_or(LiveCallerError::NoToken)?;
        let origin = parts.extensions.get::<Origin>().ok_or(LiveCallerError::NoToken)?;
        let live = Self::require(identity, &Control::from_ref(state), origin).await?;
        if let Some(proven) = parts.extensions.get::<ProvenLive>() {
            proven.note();
        }
        Ok(live)
    }
}

/// Whether session, role and tenant of the token are still true. A token without a user has no session; revoked keys are
/// missing from the ring.
pub(crate) async fn look_up_session(
    caller: &Caller,
    control: &Control,
    origin: &Origin,
) -> Result<bool, DbError> {
    if caller.session.is_none() && caller.user.is_none() {
        return Ok(true);
    }
    let session = caller.session.map(|id| id.0);
    let (user, tenant) = (caller.user.map(|id| id.0), caller.tenant.map(|id| id.0));
    let role = caller.role.to_string();
    let ask = async move |client: &Client| {
        let sql = "select rowhouse.require_live_session($1, $2, $3, $4)";
        let parameters: [(&(dyn ToSql + Sync), Type); 4] =
            [(&session, Type::UUID), (&user, Type::UUID), (&tenant, Type::UUID), (&role, Type::TEXT)];
        client.query_typed(sql, &parameters).await.map(|_| ()).map_err(DbError::from)
    };
    match control.statement(&origin.operation(OPERATION), ask).await {
        Err(error) if error.code().is_some_and(|code| SESSION_ENDED.contains(&code)) => Ok(false),
        asked => asked.map(|()| true),
    }
}

/// As problem details (RFC 9457); a surface with another dialect matches the error itself.
impl IntoResponse for LiveCallerError {
    fn into_response(self) -> Response {
        match &self {
            Self::NoToken | Self::BadToken(_) | Self::Ended => {
                Dialect::PROBLEM.error(StatusCode::UNAUTHORIZED, "unauthorized", &self.to_string())
            }
            Self::Delegated => Dialect::PROBLEM.error(StatusCode::FORBIDDEN, "forbidden", &self.to_string()),
            Self::Db(error) => {
                tracing::warn!(%error, "the session of a caller could not be looked up");
                let message = "the session cannot be looked up; try again";
                Dialect::PROBLEM.error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
            }
        }
    }
}
