//! Errors that happen before or around a surface, told in that surface's dialect.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// The error dialects of the surfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgREST: `code, message, details, hint`.
    Rest,
    /// GoTrue: `code, error_code, msg`.
    Auth,
    /// RFC 9457 problem details with a `code`: the admin API.
    Problem,
    /// All others: `error, message`.
    Plain,
}

impl Dialect {
    /// The dialect of a path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match path {
            path if path.starts_with("/rest/v1") => Self::Rest,
            path if path.starts_with("/auth/v1") => Self::Auth,
            path if path.starts_with("/admin/v1") => Self::Problem,
            _ => Self::Plain,
        }
    }

    /// An error response. `code` is the PostgREST or GoTrue code.
    #[must_use]
    pub fn error(self, status: StatusCode, code: &str, message: &str) -> Response {
        let body = self.body(status, code, message);
        let mut response = (status, axum::Json(body)).into_response();
        if self == Self::Problem {
            let problem = HeaderValue::from_static("application/problem+json");
            response.headers_mut().insert(header::CONTENT_TYPE, problem);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    fn body(self, status: StatusCode, code: &str, message: &str) -> Value {
        match self {
            Self::Rest => json!({ "code": code, "message": message, "details": null, "hint": null }),
            Self::Auth => json!({ "code": status.as_u16(), "error_code": code, "msg": message }),
            Self::Problem => json!({
                "type": "about:blank", "title": status.canonical_reason(), "status": status.as_u16(),
                "code": code, "detail": message,
            }),
            Self::Plain => json!({ "error": code, "message": message }),
        }
    }
}
