//! The one layer every request passes: id, address, caller and deadline on the way in; metrics, log line and
//! headers on the way out.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rowhouse_kernel::{SharedClock, SharedRng, new_id};
use tracing::Instrument;

use crate::address::ClientAddress;
use crate::dialect::Dialect;
use crate::identity::CallerResolver;
use crate::metric::Metrics;
use crate::patience::Patience;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the layer needs.
pub struct Layers {
    /// Verifies tokens.
    pub resolver: CallerResolver,
    /// Counts.
    pub metrics: Metrics,
    /// How long a request may take; beyond it the answer is 504.
    pub request_timeout: Duration,
    /// Header of a trusted proxy with the client's address.
    pub client_address_header: Option<String>,
    /// For request ids.
    pub clock: SharedClock,
    /// For request ids.
    pub rng: SharedRng,
}

/// A request's id; a request extension. Its log lines, jobs and mails carry the same.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

/// How long verifying the caller took; a request extension.
#[derive(Debug, Clone, Copy)]
pub struct VerifyTime(pub Duration);

/// The layer itself, for `axum::middleware::from_fn_with_state`.
pub async fn observe(State(layers): State<Arc<Layers>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = layers.request_id(request.headers());
    layers.introduce(&mut request, &id);
    let patience = Patience::new(layers.request_timeout);
    request.extensions_mut().insert(patience.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let path = request.uri().path().to_owned();
    // At every log level, so that no line is without the id.
    let span = tracing::error_span!("request", request_id = &*id.0);
    // A panic is a bug of ours; it costs one request, not the connection or the process.
    let answer = AssertUnwindSafe(next.run(request).instrument(span)).catch_unwind();
    let mut response = match patience.wait(answer).await {
        Some(Ok(response)) => response,
        Some(Err(_)) => broken(&path, &id),
        None => late(&path),
    };
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let took = started.elapsed();
    layers.metrics.record(&method, route, response.status(), took);
    let (status, micros) = (response.status().as_u16(), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    tracing::info!(request_id = &*id.0, method = method.as_str(), route, path, status, micros, "answered");
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl Layers {
    /// The caller's own id when it is short and plain, else a fresh one.
    fn request_id(&self, headers: &HeaderMap) -> RequestId {
        let plain = |id: &&str| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain);
        let text = given.map_or_else(|| new_id(&*self.clock, &*self.rng).to_string(), str::to_owned);
        RequestId(text.into())
    }

    /// Puts id, address and identity into the request's extensions.
    fn introduce(&self, request: &mut Request, id: &RequestId) {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let peer = peer.unwrap_or(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        let address = ClientAddress::find(peer, self.client_address_header.as_deref(), request.headers());
        let started = Instant::now();
        let identity = self.resolver.resolve(request.headers());
        // What runs in the database finds the id among the headers, whoever gave it.
        if let Ok(value) = HeaderValue::from_str(&id.0) {
            request.headers_mut().insert(REQUEST_ID, value);
        }
        let extensions = request.extensions_mut();
        extensions.insert(VerifyTime(started.elapsed()));
        extensions.insert(id.clone());
        extensions.insert(address);
        extensions.insert(identity);
    }
}

fn broken(path: &str, id: &RequestId) -> Response {
    tracing::error!(request_id = &*id.0, path, "a request panicked");
    let dialect = Dialect::of(path);
    let code = if dialect == Dialect::Rest { "PGRSTX00" } else { "unexpected_failure" };
    dialect.error(StatusCode::INTERNAL_SERVER_ERROR, code, "internal error")
}

fn late(path: &str) -> Response {
    let dialect = Dialect::of(path);
    let code = if dialect == Dialect::Rest { "PGRST003" } else { "request_timeout" };
    dialect.error(StatusCode::GATEWAY_TIMEOUT, code, "the request took too long")
}
