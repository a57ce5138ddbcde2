//! Authorization of `service_role`: a service key, or a user of that role with a live session. Used by every surface;
//! each answers the refusal in its own dialect.

use axum::extract::{FromRef, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use rowhouse_crypto::TokenError;
use rowhouse_db::{Control, DbError};
use rowhouse_kernel::{Caller, Origin};

use super::Identity;
use super::live_caller::{LiveCaller, LiveCallerError};
use crate::Dialect;

/// Proof that the caller has the role `service_role` at this moment; an extractor wherever the state has a [`Control`].
///
/// The key itself is checked against the ring in use, which follows revocations. A user of that role is looked up in
/// the database: one who was demoted, banned, deleted or signed out is refused at once, whatever the token says.
#[derive(Debug, Clone, Copy)]
pub struct ServiceKey(());

/// Why a caller is refused.
#[derive(Debug, thiserror::Error)]
pub enum ServiceKeyError {
    /// No token was presented.
    #[error("a service_role key is needed")]
    NoToken,
    /// The token was refused.
    #[error("the token is refused: {0}")]
    BadToken(TokenError),
    /// The token has another role.
    #[error("a service_role key is needed")]
    NotService,
    /// The user's session has ended, or the user has another role now.
    #[error("the session has ended")]
    Ended,
    /// The session cannot be looked up.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<LiveCallerError> for ServiceKeyError {
    fn from(error: LiveCallerError) -> Self {
        match error {
            LiveCallerError::NoToken => Self::NoToken,
            LiveCallerError::BadToken(error) => Self::BadToken(error),
            LiveCallerError::Ended => Self::Ended,
            LiveCallerError::Delegated => Self::NotService,
            LiveCallerError::Db(error) => Self::Db(error),
        }
    }
}

impl ServiceKey {
    /// Requires `service_role` of the identity's caller. `origin` is that of the request or SMTP session.
    ///
    /// # Errors
    /// [`ServiceKeyError`].
    pub async fn require(
        identity: &Identity,
        control: &Control,
        origin: &Origin,
    ) -> Result<Self, ServiceKeyError> {
        let is_stranger = |caller: &Caller| caller.is_anonymous() && caller.user.is_none();
        if identity.caller().is_ok_and(|caller| !(caller.is_service() || is_stranger(caller))) {
            return Err(ServiceKeyError::NotService);
        }
        let live = LiveCaller::require(identity, control, origin).await?;
        // An operator who acts as somebody has no rights beyond a user's.
        if live.impersonation().is_some() { Err(ServiceKeyError::NotService) } else { Ok(Self(())) }
    }
}

/// Identity and origin are set by the layer.
impl<S: Send + Sync> FromRequestParts<S> for ServiceKey
where
    Control: FromRef<S>,
{
    type Rejection = ServiceKeyError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ServiceKeyError> {
        let identity = parts.extensions.get::<Identity>().ok_or(ServiceKeyError::NoToken)?;
        let origin = parts.extensions.get::<Origin>().ok_or(ServiceKeyError::NoToken)?;
        Self::require(identity, &Control::from_ref(state), origin).await
    }
}

/// As problem details (RFC 9457); a surface with another dialect matches the error itself.
impl IntoResponse for ServiceKeyError {
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            Self::NoToken | Self::BadToken(_) | Self::Ended => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::NotService => (StatusCode::FORBIDDEN, "forbidden"),
            Self::Db(error) => {
                tracing::warn!(%error, "the session of a service_role user could not be looked up");
                let message = "the session cannot be looked up; try again";
                return Dialect::PROBLEM.error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
            }
        };
        Dialect::PROBLEM.error(status, code, &self.to_string())
    }
}
