//! Database errors as HTTP responses.

use http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE};
use rowhouse_db::{DbError, PgError};

use super::status::status;
use super::{ErrorResponse, raise};

const SHARE_HINT: &str = "Send fewer requests at a time or less expensive ones. One tenant, or one caller without a \
                          tenant, may use a part of the connections (db.data_pool_share).";

/// The failure for a database error; some depend on whether the caller is signed in.
pub(crate) fn from_database(error: &DbError, signed_in: bool) -> ErrorResponse {
    match error {
        DbError::Refused(error) => refused(error, signed_in),
        DbError::Unavailable(_) | DbError::Unusable(_) => {
            ErrorResponse::new(StatusCode::SERVICE_UNAVAILABLE, "PGRST000", "Database connection error.")
        }
        DbError::PoolTimeout(_) => ErrorResponse::new(
            StatusCode::GATEWAY_TIMEOUT,
            "PGRST003",
            "Timed out acquiring connection from connection pool.",
        ),
        DbError::ShareTimeout(_) => {
            let message = "Timed out waiting for other requests of the same tenant or caller.";
            let failure = ErrorResponse::new(StatusCode::GATEWAY_TIMEOUT, "PGRST003", message);
            failure.hint(SHARE_HINT)
        }
        DbError::Protocol(_) => ErrorResponse::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "PGRSTX00",
            "Unexpected answer from the database",
        ),
    }
}

fn refused(error: &PgError, signed_in: bool) -> ErrorResponse {
    match error.code.as_str() {
        "PGRST" => return raise::respond(error),
        "RH401" => return session_ended(),
        "RH403" => {
            let mut failure = ErrorResponse::new(StatusCode::FORBIDDEN, "RH403", &error.message);
            failure.hint.clone_from(&error.hint);
            return failure;
        }
        // What `tenancy.count_usage` refuses: the details say what is used up.
        "RH429" => {
            let mut failure = ErrorResponse::new(StatusCode::TOO_MANY_REQUESTS, "RH429", &error.message);
            failure.details = error.detail.clone().map(serde_json::Value::String);
            return failure;
        }
        _ => {}
    }
    let status = status(error, signed_in);
    let mut failure = ErrorResponse::new(status, &error.code, &error.message);
    failure.details = error.detail.clone().map(serde_json::Value::String);
    failure.hint.clone_from(&error.hint);
    if status == StatusCode::UNAUTHORIZED { failure.challenged() } else { failure }
}

/// The token is valid, but its session has ended.
fn session_ended() -> ErrorResponse {
    const CHALLENGE: &str = "Bearer error=\"invalid_token\", error_description=\"Session has ended\"";
    let mut failure = ErrorResponse::new(StatusCode::UNAUTHORIZED, "PGRST303", "Session has ended");
    failure.headers.push((WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE)));
    failure
}
