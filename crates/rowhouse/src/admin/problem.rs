//! What can go wrong in the admin API, and how it is told.

use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use rowhouse_db::{DbError, TransactionError};
use rowhouse_http::Dialect;

/// A failure.
#[derive(Debug)]
pub(crate) enum Problem {
    NoToken,
    NotAdmin,
    NotFound(String),
    NotAllowed(Method),
    /// The request cannot be read.
    Malformed(String),
    TooLarge,
    /// It can be read, and makes no sense.
    Refused(String),
    /// It does not fit how things stand.
    Conflict(String),
    Database(DbError),
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl TransactionError for Problem {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, text) = match self {
            Self::NoToken => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "the service key is needed".to_owned())
            }
            Self::NotAdmin => {
                (StatusCode::FORBIDDEN, "not_admin", "only the service key may do this".to_owned())
            }
            Self::NotFound(text) => (StatusCode::NOT_FOUND, "not_found", text),
            Self::NotAllowed(method) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                format!("{method} is not possible here"),
            ),
            Self::Malformed(text) => (StatusCode::BAD_REQUEST, "bad_request", text),
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "a body has at most 1 MiB".to_owned())
            }
            Self::Refused(text) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", text),
            Self::Conflict(text) => (StatusCode::CONFLICT, "conflict", text),
            Self::Database(error) => of_database(&error),
        };
        Dialect::PROBLEM.error(status, code, &text)
    }
}

/// Classes 22 (data) and 54 (limits) are the caller's doing.
fn of_database(error: &DbError) -> (StatusCode, &'static str, String) {
    match error {
        DbError::Refused(refused) if refused.code.starts_with("22") || refused.code.starts_with("54") => {
            let hint = refused.hint.as_ref().map(|hint| format!(". {hint}")).unwrap_or_default();
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid", format!("{}{hint}", refused.message))
        }
        DbError::Unavailable(_) | DbError::PoolTimeout(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the database does not answer".to_owned())
        }
        DbError::Refused(_) | DbError::Protocol(_) => {
            tracing::error!(%error, "the admin API failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error".to_owned())
        }
    }
}
