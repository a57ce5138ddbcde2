//! Cross-origin rules for browsers (Fetch standard, "CORS protocol").

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use rowhouse_kernel::settings::ServerSettings;

/// Response headers that scripts may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "content-encoding, content-location, content-range, content-type, date, location, preference-applied, proxy-status, range-unit, server, \
     transfer-encoding, x-request-id, x-total-count, link, x-supabase-api-version",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, QUERY, POST, PUT, PATCH, DELETE, OPTIONS");
const ONE_DAY: HeaderValue = HeaderValue::from_static("86400");

/// Answers preflights and marks responses, for `axum::middleware::from_fn_with_state`.
pub async fn cors(State(settings): State<Arc<ServerSettings>>, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else { return next.run(request).await };
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response =
        if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    if allow(&settings, &origin, response.headers_mut()) {
        let headers = response.headers_mut();
        if is_preflight {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, ONE_DAY);
            if let Some(wanted) = wanted {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
            }
        } else {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
    response
}

/// With credentials the origin is always named, since browsers refuse `*` then.
fn allow(settings: &ServerSettings, origin: &HeaderValue, headers: &mut HeaderMap) -> bool {
    let any = settings.cors_origins.iter().any(|allowed| allowed == "*");
    if !any && !settings.cors_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) {
        return false;
    }
    if any && !settings.cors_credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        return true;
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if settings.cors_credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    true
}
