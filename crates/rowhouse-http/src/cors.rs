//! Cross-origin rules for browsers (Fetch standard, "CORS protocol").

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::settings::ServerSettings;

/// Response headers that scripts may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "content-encoding, content-location, content-range, content-type, date, location, preference-applied, proxy-status, range-unit, server, \
     transfer-encoding, x-request-id, x-total-count, link, etag, idempotency-replayed, x-supabase-api-version, ratelimit, ratelimit-policy, retry-after",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, QUERY, POST, PUT, PATCH, DELETE, OPTIONS");
const VARY: HeaderValue = HeaderValue::from_static("Origin");
const PREFLIGHT_VARY: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
const ONE_DAY: HeaderValue = HeaderValue::from_static("86400");

/// Answers preflights, lets `answer` answer everything else, and adds headers to the response.
pub(crate) async fn cors<F: Future<Output = Response>>(
    settings: &ServerSettings,
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let is_preflight = request.method() == Method::OPTIONS
        && origin.is_some()
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response =
        if is_preflight { StatusCode::NO_CONTENT.into_response() } else { answer(request).await };
    let headers = response.headers_mut();
    // Always sent: a cache must not serve one origin's response to another, nor a response to a request without
    // Origin to one with it.
    headers.append(header::VARY, if is_preflight { PREFLIGHT_VARY } else { VARY });
    // The data API answers OPTIONS with `*`, as PostgREST does.
    if !allows_any(settings) {
        headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    }
    let Some(origin) = origin.filter(|origin| is_allowed(settings, origin)) else { return response };
    name_origin(settings, origin, headers);
    if !is_preflight {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        return response;
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, ONE_DAY);
    if let Some(wanted) = wanted {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    }
    response
}

fn allows_any(settings: &ServerSettings) -> bool {
    settings.cors_origins.iter().any(|allowed| allowed == "*")
}

fn is_allowed(settings: &ServerSettings, origin: &HeaderValue) -> bool {
    let is_named = |allowed: &String| allowed.as_bytes() == origin.as_bytes();
    allows_any(settings) || settings.cors_origins.iter().any(is_named)
}

/// With credentials the origin is always named, since browsers refuse `*` then.
fn name_origin(settings: &ServerSettings, origin: HeaderValue, headers: &mut HeaderMap) {
    let any = allows_any(settings) && !settings.cors_credentials;
    let allowed = if any { HeaderValue::from_static("*") } else { origin };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    if settings.cors_credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

#[cfg(test)]
mod tests;
