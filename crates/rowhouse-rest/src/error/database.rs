//! What the database refused, as HTTP.

use http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE};
use rowhouse_db::{DbError, PgError};

use super::{Failure, raise};

/// The failure for a database error; some depend on whether the caller is signed in.
pub(crate) fn from_database(error: &DbError, signed_in: bool) -> Failure {
    match error {
        DbError::Refused(error) => refused(error, signed_in),
        DbError::Unavailable(_) => {
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "PGRST000", "Database connection error.")
        }
        DbError::PoolTimeout(_) => Failure::new(
            StatusCode::GATEWAY_TIMEOUT,
            "PGRST003",
            "Timed out acquiring connection from connection pool.",
        ),
        DbError::Protocol(_) => {
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "PGRSTX00", "Unexpected answer from the database")
        }
    }
}

fn refused(error: &PgError, signed_in: bool) -> Failure {
    match error.code.as_str() {
        "PGRST" => return raise::respond(error),
        "RH401" => return session_ended(),
        "RH403" => {
            let mut failure = Failure::new(StatusCode::FORBIDDEN, "RH403", &error.message);
            failure.hint.clone_from(&error.hint);
            return failure;
        }
        _ => {}
    }
    let status = status(error, signed_in);
    let mut failure = Failure::new(status, &error.code, &error.message);
    failure.details = error.detail.clone().map(serde_json::Value::String);
    failure.hint.clone_from(&error.hint);
    if status == StatusCode::UNAUTHORIZED { failure.challenged() } else { failure }
}

/// The token is genuine, but its session is over.
fn session_ended() -> Failure {
    const CHALLENGE: &str = "Bearer error=\"invalid_token\", error_description=\"Session has ended\"";
    let mut failure = Failure::new(StatusCode::UNAUTHORIZED, "PGRST303", "Session has ended");
    failure.headers.push((WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE)));
    failure
}

/// SQLSTATE to status, as PostgREST has it.
pub(super) fn status(error: &PgError, signed_in: bool) -> StatusCode {
    let code = error.code.as_str();
    let message = error.message.as_str();
    if let Some(status) = code.strip_prefix("PT") {
        return status.parse().ok().and_then(own_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    }
    match code {
        "23503" | "23505" => StatusCode::CONFLICT,
        "25006" => StatusCode::METHOD_NOT_ALLOWED,
        // The caller asked of a view what its definition does not offer; PostgREST blames itself with a 500.
        "55000" if is_unchangeable_view(message) => StatusCode::METHOD_NOT_ALLOWED,
        "22023" if message.starts_with("role") && message.ends_with("does not exist") => {
            StatusCode::UNAUTHORIZED
        }
        "53400" => StatusCode::INTERNAL_SERVER_ERROR,
        "57P01" => StatusCode::SERVICE_UNAVAILABLE,
        "P0001" => StatusCode::BAD_REQUEST,
        "42883" if message.starts_with("function xmlagg(") => StatusCode::NOT_ACCEPTABLE,
        "42883" | "42P01" => StatusCode::NOT_FOUND,
        "42P17" => StatusCode::INTERNAL_SERVER_ERROR,
        "42501" if signed_in => StatusCode::FORBIDDEN,
        "42501" => StatusCode::UNAUTHORIZED,
        _ => match code.get(..2).unwrap_or_default() {
            "08" | "53" => StatusCode::SERVICE_UNAVAILABLE,
            "0L" | "0P" | "28" => StatusCode::FORBIDDEN,
            "09" | "25" | "2D" | "38" | "39" | "3B" | "40" | "55" | "57" | "58" | "F0" | "HV" | "P0"
            | "XX" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        },
    }
}

/// A write to a view that PostgreSQL cannot pass on to a table.
fn is_unchangeable_view(message: &str) -> bool {
    ["cannot insert into view ", "cannot update view ", "cannot delete from view ", "cannot merge into view "]
        .iter()
        .any(|start| message.starts_with(start))
}

/// A status chosen by SQL. Informational ones would break the exchange.
pub(super) fn own_status(number: u16) -> Option<StatusCode> {
    StatusCode::from_u16(number).ok().filter(|status| !status.is_informational())
}
