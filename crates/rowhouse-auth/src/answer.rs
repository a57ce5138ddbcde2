//! Rendering of errors in GoTrue's two formats, chosen by the request's `X-Supabase-Api-Version`.

use std::error::Error;
use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use rowhouse_http::RequestId;
use serde_json::{Value, json};

use crate::refusal::Refusal;

/// The header that selects the format; a date.
pub(crate) const API_VERSION: HeaderName = HeaderName::from_static("x-supabase-api-version");
/// The only version with a change: from it on, `code` is a string.
const V2024: &str = "2024-01-01";
const ERROR_CODE: HeaderName = HeaderName::from_static("x-sb-error-code");
/// Most causes of one error that are logged.
const MAX_CAUSES: usize = 8;

impl IntoResponse for Refusal {
    /// Status and headers; [`render`], which knows the format, writes the body.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.headers_mut().insert(ERROR_CODE, HeaderValue::from_static(self.code));
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// The router's outermost layer: writes the body of errors, and logs server errors.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let modern = wants_2024(request.headers());
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.to_string());
    let mut response = next.run(request).await;
    if let Some(refusal) = response.extensions_mut().remove::<Arc<Refusal>>() {
        if refusal.status.is_server_error() {
            let error = refusal.cause.as_deref().map(causes).unwrap_or_default();
            tracing::error!(error, code = refusal.code, "identity request failed");
        }
        let body = if modern { modern_body(&refusal) } else { legacy_body(&refusal, request_id) };
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

/// The error with its causes, the outermost first.
fn causes(error: &(dyn Error + Send + Sync + 'static)) -> String {
    let first: &(dyn Error + 'static) = error;
    let chain = std::iter::successors(Some(first), |&error| Error::source(error));
    chain.take(MAX_CAUSES).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// ISO dates compare as strings. A malformed version counts as none.
fn wants_2024(headers: &HeaderMap) -> bool {
    let version = headers.get(API_VERSION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_date = version.len() == V2024.len()
        && version
            .bytes()
            .zip(V2024.bytes())
            .all(|(a, b)| if b == b'-' { a == b } else { a.is_ascii_digit() });
    is_date && version >= V2024
}

fn modern_body(refusal: &Refusal) -> Value {
    with_reasons(json!({ "code": refusal.code, "message": refusal.message }), refusal)
}

fn legacy_body(refusal: &Refusal, request_id: Option<String>) -> Value {
    let Refusal { status, code, message, .. } = refusal;
    let mut body = json!({ "code": status.as_u16(), "error_code": code, "msg": message });
    if let (true, Some(id)) = (status.is_server_error(), request_id) {
        body["error_id"] = id.into();
    }
    with_reasons(body, refusal)
}

fn with_reasons(mut body: Value, refusal: &Refusal) -> Value {
    if let Some(reasons) = &refusal.weak_reasons {
        body["weak_password"] = json!({ "reasons": reasons });
    }
    body
}

#[cfg(test)]
mod tests;
