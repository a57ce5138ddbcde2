//! Errors of parsing.

use http::StatusCode;

use super::{ErrorResponse, not_satisfiable};
use crate::header::ACCEPT_QUERY;
use crate::parse::{RangeProblem, RequestError};

pub(super) fn failure(error: RequestError) -> ErrorResponse {
    match error {
        RequestError::Query(error) => {
            ErrorResponse::new(StatusCode::BAD_REQUEST, "PGRST100", error.message).details(error.details)
        }
        RequestError::CallMethod(method) => ErrorResponse::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "PGRST101",
            format!("Cannot use the {method} method on RPC"),
        ),
        RequestError::Method(method) => ErrorResponse::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "PGRST117",
            format!("Unsupported HTTP method: {method}"),
        ),
        RequestError::Body(message) => ErrorResponse::new(StatusCode::BAD_REQUEST, "PGRST102", message),
        RequestError::QueryType(found) => query_type(&found),
        RequestError::Range(RangeProblem::NegativeLimit) => {
            not_satisfiable().details("Limit should be greater than or equal to zero.")
        }
        RequestError::Range(RangeProblem::UpsideDown) => not_satisfiable().details(
            "The lower boundary must be lower than or equal to the upper boundary in the Range header.",
        ),
        RequestError::PutRange => ErrorResponse::new(
            StatusCode::BAD_REQUEST,
            "PGRST114",
            "limit/offset querystring parameters are not allowed for PUT",
        ),
        RequestError::Schema { asked, served } => {
            ErrorResponse::new(StatusCode::NOT_ACCEPTABLE, "PGRST106", format!("Invalid schema: {asked}"))
                .hint(format!("Only the following schemas are exposed: {}", served.join(", ")))
        }
        RequestError::Path => {
            ErrorResponse::new(StatusCode::NOT_FOUND, "PGRST125", "Invalid path specified in request URL")
        }
    }
}

/// 415 with the accepted media type (RFC 9110 section 15.5.16).
fn query_type(found: &str) -> ErrorResponse {
    let message = format!("Content-Type not acceptable: {found}");
    let mut failure = ErrorResponse::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "PGRST102", message)
        .hint("QUERY takes a query string as application/x-www-form-urlencoded");
    failure.headers.push(ACCEPT_QUERY);
    failure
}
