//! Authorization of `service_role`: a service key, or a user of that role with a live session. Used by every surface;
//! each answers the refusal in its own dialect.

use axum::extract::{FromRef, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use rowhouse_crypto::TokenError;
use rowhouse_db::{Control, DbError};
use rowhouse_kernel::{Caller, Operation, Origin};
use tokio_postgres::types::Type;

use super::Identity;
use crate::Dialect;

/// Name of the look-up's statement.
const OPERATION: &str = "http.require_service";
/// SQLSTATEs of `rowhouse.require_live_session`.
const ENDED: [&str; 2] = ["RH401", "RH403"];

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

impl ServiceKey {
    /// Requires `service_role` of the request's caller.
    ///
    /// # Errors
    /// [`ServiceKeyError`].
    pub async fn require(parts: &Parts, control: &Control) -> Result<Self, ServiceKeyError> {
        let identity = parts.extensions.get::<Identity>().ok_or(ServiceKeyError::NoToken)?;
        let asking = parts.extensions.get::<Origin>().map(|origin| origin.operation(OPERATION));
        Self::ask(identity, control, &asking.unwrap_or_else(|| Operation::system(OPERATION))).await
    }

    /// The same for a caller outside HTTP.
    ///
    /// # Errors
    /// [`ServiceKeyError`].
    pub async fn require_identity(identity: &Identity, control: &Control) -> Result<Self, ServiceKeyError> {
        Self::ask(identity, control, &Operation::system(OPERATION)).await
    }

    async fn ask(
        identity: &Identity,
        control: &Control,
        operation: &Operation,
    ) -> Result<Self, ServiceKeyError> {
        let caller = identity.caller().map_err(|error| ServiceKeyError::BadToken(*error))?;
        match caller.is_service() {
            true => require_live(caller, control, operation).await.map(|()| Self(())),
            false if caller.is_anonymous() && caller.user.is_none() => Err(ServiceKeyError::NoToken),
            false => Err(ServiceKeyError::NotService),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ServiceKey
where
    Control: FromRef<S>,
{
    type Rejection = ServiceKeyError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ServiceKeyError> {
        Self::require(parts, &Control::from_ref(state)).await
    }
}

/// Requires a live session; the service key itself has none.
async fn require_live(
    caller: &Caller,
    control: &Control,
    operation: &Operation,
) -> Result<(), ServiceKeyError> {
    if caller.session.is_none() && caller.user.is_none() {
        return Ok(());
    }
    let session = caller.session.map(|id| id.0);
    let (user, tenant) = (caller.user.map(|id| id.0), caller.tenant.map(|id| id.0));
    let role = caller.role.to_string();
    let ask = async move |client: &tokio_postgres::Client| {
        let sql = "select rowhouse.require_live_session($1, $2, $3, $4)";
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] =
            [(&session, Type::UUID), (&user, Type::UUID), (&tenant, Type::UUID), (&role, Type::TEXT)];
        client.query_typed(sql, &parameters).await.map(|_| ()).map_err(DbError::from)
    };
    let asked = control.statement(operation, ask).await;
    asked.map_err(|error| match error.code() {
        Some(code) if ENDED.contains(&code) => ServiceKeyError::Ended,
        _ => ServiceKeyError::Db(error),
    })
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
