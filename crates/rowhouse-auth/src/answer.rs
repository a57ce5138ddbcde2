//! How answers leave: GoTrue's two error dialects, chosen by the request's `X-Supabase-Api-Version`.

use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use rowhouse_http::RequestId;
use serde_json::{Value, json};

use crate::AuthError;

/// Names the dialect; a date.
pub(crate) const API_VERSION: HeaderName = HeaderName::from_static("x-supabase-api-version");
/// The only version that changed anything: from it on, `code` is text.
const V2024: &str = "2024-01-01";
const ERROR_CODE: HeaderName = HeaderName::from_static("x-sb-error-code");

impl IntoResponse for AuthError {
    /// Status and headers; the body is written by [`render`], which knows the dialect.
    fn into_response(self) -> Response {
        let (status, code) = self.code();
        let mut response = status.into_response();
        response.headers_mut().insert(ERROR_CODE, HeaderValue::from_static(code));
        if let Some(wait) = self.retry_after() {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// The router's outermost layer: gives errors their body, and logs those that are ours.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let modern = wants_2024(request.headers());
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.to_string());
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<Arc<AuthError>>() {
        if response.status().is_server_error() {
            tracing::error!(error = %error, code = error.code().1, "identity request failed");
        }
        let body = if modern { modern_body(&error) } else { legacy_body(&error, request_id) };
        let (mut parts, _) = response.into_parts();
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        parts.headers.remove(header::CONTENT_LENGTH);
        response = Response::from_parts(parts, body.to_string().into());
    }
    if modern {
        response.headers_mut().insert(API_VERSION, HeaderValue::from_static(V2024));
    }
    response
}

/// Dates compare as text. A malformed version counts as none.
fn wants_2024(headers: &HeaderMap) -> bool {
    let version = headers.get(API_VERSION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_date = version.len() == V2024.len()
        && version
            .bytes()
            .zip(V2024.bytes())
            .all(|(a, b)| if b == b'-' { a == b } else { a.is_ascii_digit() });
    is_date && version >= V2024
}

fn modern_body(error: &AuthError) -> Value {
    with_reasons(json!({ "code": error.code().1, "message": error.public_message() }), error)
}

fn legacy_body(error: &AuthError, request_id: Option<String>) -> Value {
    let (status, code) = error.code();
    let mut body = json!({ "code": status.as_u16(), "error_code": code, "msg": error.public_message() });
    if let (true, Some(id)) = (status.is_server_error(), request_id) {
        body["error_id"] = id.into();
    }
    with_reasons(body, error)
}

fn with_reasons(mut body: Value, error: &AuthError) -> Value {
    if let AuthError::WeakPassword(weak) = error {
        body["weak_password"] = json!({ "reasons": weak.reasons });
    }
    body
}

#[cfg(test)]
mod tests;
