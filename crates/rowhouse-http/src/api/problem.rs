//! Errors of the admin API: problem details (RFC 9457) with a `code` for programs.

use std::time::Duration;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as Described, SchemaObject};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use rowhouse_db::{DbError, TransactionError};
use schemars::JsonSchema;
use serde_json::Value;

use crate::Dialect;
use crate::json::JsonError;
use crate::meter::{CODE, SQLSTATE};

/// Most bytes of `detail`: it may repeat what the client sent.
const MAX_DETAIL_BYTES: usize = 500;

/// A failure, as reported to the client.
#[derive(Debug)]
pub struct Problem {
    /// The answer's status.
    pub status: StatusCode,
    /// For programs.
    pub code: &'static str,
    /// For people: what to do about it.
    pub detail: String,
    /// When it may be tried again.
    pub retry_after: Option<Duration>,
    /// Further members of the answer; boxed, since nearly none has any.
    members: Box<Value>,
    /// The database error that caused it; decides whether a transaction is retried.
    cause: Option<DbError>,
}

impl Problem {
    /// A failure.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
        Self { status, code, detail, retry_after: None, members: Box::default(), cause: None }
    }

    /// Adds Retry-After.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        Self { retry_after: Some(pause), ..self }
    }

    /// 400: the request cannot be read.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// 401: no valid token.
    #[must_use]
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 403: the caller lacks a permission.
    #[must_use]
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: no such resource.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 409: in conflict with the current state.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// 422: well-formed, but not valid.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    /// 500. The cause is logged by the caller of this function.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error")
    }
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Self {
        Self::malformed(error.to_string())
    }
}

/// SQLSTATE classes 22 (data exception) and 54 (limit exceeded) are the caller's fault.
impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        let problem = match &error {
            DbError::Refused(refused) if refused.code.starts_with("22") || refused.code.starts_with("54") => {
                let hint = refused.hint.as_ref().map(|hint| format!(". {hint}")).unwrap_or_default();
                Self::invalid(format!("{}{hint}", refused.message))
            }
            DbError::Refused(refused) if refused.code == SQLSTATE => beyond_usage(refused.detail.as_deref()),
            DbError::Unavailable(_)
            | DbError::Unusable(_)
            | DbError::PoolTimeout(_)
            | DbError::ShareTimeout(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the database does not answer")
            }
            DbError::Refused(_) | DbError::Protocol(_) => Self::internal(),
        };
        Self { cause: Some(error), ..problem }
    }
}

/// 429 with what the database says is used up.
fn beyond_usage(detail: Option<&str>) -> Problem {
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, CODE, "the tenant has used up what it may");
    let members = Box::new(detail.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default());
    Problem { members, ..problem }
}

impl TransactionError for Problem {
    fn database(&self) -> Option<&DbError> {
        self.cause.as_ref()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Some(error) = self.cause.filter(|_| self.status.is_server_error()) {
            tracing::error!(%error, "the admin API failed");
        }
        let mut response = Dialect::PROBLEM.error_with(self.status, self.code, &self.detail, &self.members);
        if let Some(pause) = self.retry_after {
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The body of a [`Problem`].
#[derive(JsonSchema)]
#[schemars(rename = "Problem")]
#[expect(dead_code, reason = "only described")]
struct ProblemBody {
    /// `about:blank`
    r#type: String,
    /// The status in words.
    title: String,
    /// The answer's status.
    status: u16,
    /// For programs.
    code: String,
    /// For people.
    detail: String,
    /// With `usage_limit_exceeded`: what is used up.
    metric: Option<String>,
    /// With `usage_limit_exceeded`: the most.
    limit: Option<i64>,
    /// With `usage_limit_exceeded`: what has been used.
    current: Option<i64>,
    /// With `usage_limit_exceeded`: what is left.
    remaining: Option<i64>,
}

impl OperationOutput for Problem {
    type Inner = Self;

    fn operation_response(context: &mut GenContext, _: &mut Operation) -> Option<Described> {
        let json_schema = context.schema.subschema_for::<ProblemBody>();
        let schema = SchemaObject { json_schema, example: None, external_docs: None };
        let content = MediaType { schema: Some(schema), ..MediaType::default() };
        Some(Described {
            description: "The request failed.".to_owned(),
            content: [("application/problem+json".to_owned(), content)].into_iter().collect(),
            ..Described::default()
        })
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Described)> {
        Self::operation_response(context, operation).map(|response| (None, response)).into_iter().collect()
    }
}
