//! Errors outside a surface's own routes, in that surface's format.
//!
//! A surface defines its dialect; those of PostgREST, GoTrue and problem details are here because several crates use them.

use std::fmt;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// How a surface writes an error.
#[derive(Clone, Copy)]
pub struct Dialect {
    name: &'static str,
    content_type: &'static str,
    body: fn(StatusCode, &str, &str) -> Value,
    code: fn(Fault) -> &'static str,
}

/// What can go wrong outside a surface's own routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No route has this path.
    NoPath,
    /// The request has no `Host`, or several (RFC 9112 section 3.2).
    Host,
    /// The address has sent too many invalid tokens.
    Guessing,
    /// The answer takes longer than the deadline.
    Late,
    /// A panic or another bug.
    Broken,
}

impl Fault {
    const fn status(self) -> StatusCode {
        match self {
            Self::NoPath => StatusCode::NOT_FOUND,
            Self::Host => StatusCode::BAD_REQUEST,
            Self::Guessing => StatusCode::TOO_MANY_REQUESTS,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::NoPath => "no such path",
            Self::Host => "a request names exactly one host",
            Self::Guessing => "too many invalid tokens",
            Self::Late => "the request took too long",
            Self::Broken => "internal error",
        }
    }

    /// The code for dialects without one of their own.
    #[must_use]
    pub const fn common_code(self) -> &'static str {
        match self {
            Self::NoPath => "not_found",
            Self::Host => "bad_request",
            Self::Guessing => "over_request_rate_limit",
            Self::Late => "request_timeout",
            Self::Broken => "unexpected_failure",
        }
    }
}

const JSON: &str = "application/json";

impl Dialect {
    /// PostgREST: `code, message, details, hint`.
    pub const REST: Self = Self::new("rest", JSON, rest_body, rest_code);
    /// GoTrue: `code, error_code, msg`.
    pub const AUTH: Self = Self::new("auth", JSON, auth_body, Fault::common_code);
    /// RFC 9457 problem details with a `code`: the admin API.
    pub const PROBLEM: Self =
        Self::new("problem", "application/problem+json", problem_body, Fault::common_code);
    /// `error, message`: for paths without a dialect of their own.
    pub const PLAIN: Self = Self::new("plain", JSON, plain_body, Fault::common_code);

    /// A dialect: `body` gets status, code and message; `code` names faults outside the surface's routes.
    #[must_use]
    pub const fn new(
        name: &'static str,
        content_type: &'static str,
        body: fn(StatusCode, &str, &str) -> Value,
        code: fn(Fault) -> &'static str,
    ) -> Self {
        Self { name, content_type, body, code }
    }

    /// An error response.
    #[must_use]
    pub fn error(self, status: StatusCode, code: &str, message: &str) -> Response {
        self.error_with(status, code, message, &Value::Null)
    }

    /// The same with further members: as text in `details` where the dialect has those, else beside the others.
    #[must_use]
    pub fn error_with(self, status: StatusCode, code: &str, message: &str, members: &Value) -> Response {
        let mut body = (self.body)(status, code, message);
        match (body.as_object_mut(), members.as_object()) {
            (Some(body), Some(_)) if body.contains_key("details") => {
                body.insert("details".to_owned(), Value::from(members.to_string()));
            }
            (Some(body), Some(members)) => {
                body.extend(members.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            _ => {}
        }
        let body = body.to_string();
        let mut response = (status, [(header::CONTENT_TYPE, self.content_type)], body).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    /// The response to a fault outside the surface's routes.
    #[must_use]
    pub fn fault(self, fault: Fault) -> Response {
        self.error(fault.status(), (self.code)(fault), fault.message())
    }
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Dialect {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

fn rest_body(_: StatusCode, code: &str, message: &str) -> Value {
    json!({ "code": code, "message": message, "details": null, "hint": null })
}

fn rest_code(fault: Fault) -> &'static str {
    match fault {
        Fault::NoPath => "PGRST125",
        Fault::Host => "PGRST100",
        // PostgREST has no limit of this kind.
        Fault::Guessing => "RHL03",
        Fault::Late => "PGRST003",
        Fault::Broken => "PGRSTX00",
    }
}

fn auth_body(status: StatusCode, code: &str, message: &str) -> Value {
    json!({ "code": status.as_u16(), "error_code": code, "msg": message })
}

fn problem_body(status: StatusCode, code: &str, message: &str) -> Value {
    json!({
        "type": "about:blank", "title": status.canonical_reason(), "status": status.as_u16(),
        "code": code, "detail": message,
    })
}

fn plain_body(_: StatusCode, code: &str, message: &str) -> Value {
    json!({ "error": code, "message": message })
}
