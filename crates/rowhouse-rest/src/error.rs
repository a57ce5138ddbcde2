//! Every error of a request and its response: PostgREST's codes, statuses and messages.
//!
//! Each stage has its own error enum, converted here by one match.

mod database;
mod limit;
mod plan;
mod raise;
mod request;
mod schema;
mod status;
mod token;

use axum::body::Body;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use hyper::ext::ReasonPhrase;
use rowhouse_crypto::TokenError;
use rowhouse_db::DbError;
use serde::Serialize;

pub(crate) use database::from_database;
pub(crate) use status::{is_policy_violation, is_raised, is_refused_setting};

use crate::limit::LimitError;
use crate::parse::RequestError;
use crate::plan::PlanError;
use crate::settings::ErrorVerbosity;

/// A failed request as the client sees it: `{code, message, details, hint}` and a status.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorResponse {
    /// HTTP status.
    #[serde(skip)]
    pub status: StatusCode,
    /// PostgREST's `PGRST…`, or an SQLSTATE.
    pub code: String,
    /// What happened.
    pub message: String,
    /// More about it: text, or the list of candidates of an ambiguous embed.
    pub details: Option<serde_json::Value>,
    /// What could be done about it.
    pub hint: Option<String>,
    /// The reason phrase, which only HTTP/1.1 has.
    #[serde(skip)]
    pub(crate) reason: Option<ReasonPhrase>,
    /// Headers beyond those of every failure.
    #[serde(skip)]
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// The body of a failure under `client_error_verbosity = "minimal"`.
#[derive(Serialize)]
struct Minimal<'a> {
    code: &'a str,
    message: &'a str,
}

impl ErrorResponse {
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            details: None,
            hint: None,
            reason: None,
            headers: Vec::new(),
        }
    }

    pub(crate) fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(serde_json::Value::String(details.into()));
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The response, with `Proxy-Status`, and `Retry-After` where trying again may help.
    pub(crate) fn respond(self, verbosity: ErrorVerbosity) -> Response<Body> {
        let body = match verbosity {
            ErrorVerbosity::Verbose => serde_json::to_vec(&self),
            ErrorVerbosity::Minimal => {
                serde_json::to_vec(&Minimal { code: &self.code, message: &self.message })
            }
        };
        let body = body.unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        if let Some(reason) = self.reason {
            response.extensions_mut().insert(reason);
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        if let Ok(value) = HeaderValue::from_str(&format!("PostgREST; error={}", self.code)) {
            headers.insert("proxy-status", value);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response
    }

    /// Adds the lines of an import as hint, unless there is one.
    fn in_lines(self, first: usize, last: usize) -> Self {
        if self.hint.is_some() || self.status.is_server_error() {
            return self;
        }
        self.hint(format!("It is in lines {first} to {last} of the body; nothing was written."))
    }

    /// 401 with the challenge of RFC 6750.
    pub(crate) fn challenged(mut self) -> Self {
        self.headers.push((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        self
    }
}

/// Every stage's error.
#[derive(Debug)]
pub(crate) enum Error {
    Request(RequestError),
    Plan(PlanError),
    /// `true`: the caller is signed in.
    Database(DbError, bool),
    /// The caller's role does not exist.
    NoRole(Box<Error>),
    /// No schema snapshot yet.
    NoSnapshot,
    /// The caller was not verified.
    NoCaller,
    /// The presented token is refused.
    Token(TokenError),
    /// The body is larger than allowed.
    TooLarge,
    /// More values than one statement can carry.
    TooManyValues,
    /// An error of an import between two lines of its body.
    Import(Box<Error>, usize, usize),
    /// The body did not arrive.
    Aborted,
    /// The body of an import arrives too slowly.
    Slow,
    /// Not exactly one row where one object was asked for.
    Singular(i64),
    /// More rows than `max-affected`.
    MaxAffected(i64),
    /// A limit of role or tenant is exceeded, or not known.
    Limit(Box<LimitError>),
    /// PUT whose body has another key than the URL.
    PutMismatch,
    /// An offset beyond the total.
    OutOfBounds {
        offset: i64,
        total: i64,
    },
    /// `response.headers` is malformed.
    ResponseHeaders,
    /// `response.status` is not a valid status.
    ResponseStatus,
}

impl Error {
    /// For the log; the client gets less.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Database(error, _) => error.to_string(),
            Self::Import(error, ..) | Self::NoRole(error) => error.cause(),
            _ => String::new(),
        }
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        Self::Plan(error)
    }
}

impl From<LimitError> for Error {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::NotLoaded => Self::NoSnapshot,
            other => Self::Limit(Box::new(other)),
        }
    }
}

impl From<Error> for ErrorResponse {
    fn from(error: Error) -> Self {
        match error {
            Error::Request(error) => request::failure(error),
            Error::Plan(error) => plan::failure(error),
            Error::Database(error, signed_in) => from_database(&error, signed_in),
            Error::NoRole(error) => {
                let failure = Self::from(*error);
                Self { status: StatusCode::UNAUTHORIZED, ..failure }.challenged()
            }
            Error::NoSnapshot => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "PGRST002",
                "Could not query the database for the schema cache. Retrying.",
            ),
            Error::NoCaller => {
                Self::new(StatusCode::UNAUTHORIZED, "PGRST302", "Anonymous access is disabled").challenged()
            }
            Error::Token(error) => token::failure(error),
            Error::TooLarge => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PGRST102", "Request body is too large")
            }
            Error::TooManyValues => {
                Self::new(StatusCode::BAD_REQUEST, "PGRST100", "Too many values in the query string")
            }
            Error::Import(error, first, last) => Self::from(*error).in_lines(first, last),
            Error::Aborted => Self::new(StatusCode::BAD_REQUEST, "PGRST102", "Request body did not arrive"),
            Error::Slow => Self::new(StatusCode::REQUEST_TIMEOUT, "RHL03", "The body arrives too slowly")
                .details("Nothing was written.")
                .hint("Collect the lines first and send them at once."),
            Error::Singular(_) | Error::MaxAffected(_) | Error::PutMismatch => wrong_rows(&error),
            Error::Limit(error) => match *error {
                LimitError::Exceeded(exceeded) => limit::failure(&exceeded),
                LimitError::Unreadable { name, value } => limit::unreadable(name, &value),
                LimitError::NotLoaded => Error::NoSnapshot.into(),
            },
            Error::OutOfBounds { offset, total } => out_of_bounds(offset, total),
            Error::ResponseHeaders => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "PGRST111",
                "response.headers guc must be a JSON array composed of objects with a single key and a string value",
            ),
            Error::ResponseStatus => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "PGRST112",
                "response.status guc must be a valid status code",
            ),
        }
    }
}

/// Errors about the number of rows.
fn wrong_rows(error: &Error) -> ErrorResponse {
    const SINGULAR: &str = "Cannot coerce the result to a single JSON object";
    const MOST: &str = "Query result exceeds max-affected preference constraint";
    const OTHER_KEY: &str = "Payload values do not match URL in primary key column(s)";
    match error {
        Error::Singular(rows) => ErrorResponse::new(StatusCode::NOT_ACCEPTABLE, "PGRST116", SINGULAR)
            .details(format!("The result contains {rows} rows")),
        Error::MaxAffected(rows) => ErrorResponse::new(StatusCode::BAD_REQUEST, "PGRST124", MOST)
            .details(format!("The query affects {rows} rows")),
        _ => ErrorResponse::new(StatusCode::BAD_REQUEST, "PGRST115", OTHER_KEY),
    }
}

fn out_of_bounds(offset: i64, total: i64) -> ErrorResponse {
    let mut failure = not_satisfiable()
        .details(format!("An offset of {offset} was requested, but there are only {total} rows."));
    if let Ok(range) = HeaderValue::from_str(&format!("*/{total}")) {
        failure.headers.push((CONTENT_RANGE, range));
    }
    failure
}

fn not_satisfiable() -> ErrorResponse {
    ErrorResponse::new(StatusCode::RANGE_NOT_SATISFIABLE, "PGRST103", "Requested range not satisfiable")
}

#[cfg(test)]
mod tests;
