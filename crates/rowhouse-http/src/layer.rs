//! The middleware of every request: id, address and caller before it; metrics, log line and headers after it. Refusals
//! and the deadline are left to `guard`, paths that are closed to the caller to `closing`.

mod closing;
mod guard;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use rowhouse_db::Control;
use rowhouse_kernel::{Actor, Origin, SharedClock, SharedRng, new_id};

use crate::address::ClientAddress;
use crate::cors::cors;
use crate::gate::Gate;
use crate::identity::{ApiKeys, CallerResolver, Identity};
use crate::limit::{AddressLimit, RateReport};
use crate::meter::Meter;
use crate::metric::{Metrics, known_method};
use crate::settings::ServerSettings;
use crate::surface::SurfaceIndex;
use guard::guard;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest path in a log line, in bytes.
const MAX_LOGGED_PATH: usize = 512;
/// Longest user agent that is stored.
const MAX_USER_AGENT: usize = 512;

/// What the layer needs.
pub struct Layers {
    /// Verifies tokens.
    pub resolver: Arc<CallerResolver>,
    /// Finds the callers behind API keys.
    pub api_keys: ApiKeys,
    /// Asked whether a session is live before a refusal that only members may see.
    pub control: Control,
    /// The metrics registry.
    pub metrics: Metrics,
    /// Deadline of requests whose surface has none; after it the answer is 504.
    pub request_timeout: Duration,
    /// The surfaces behind the layer.
    pub surfaces: SurfaceIndex,
    /// Their router, without the layer.
    pub routes: Router,
    /// Which paths are closed to whom.
    pub gate: Option<Gate>,
    /// Counts requests of tenants.
    pub meter: Option<Meter>,
    /// Which origins may read responses.
    pub cors: Arc<ServerSettings>,
    /// Limits invalid tokens per client address; expired ones are not counted.
    pub bad_tokens: AddressLimit,
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

/// The middleware itself. It is one layer, since each costs every request a boxed future.
async fn observe(State(layers): State<Arc<Layers>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = layers.request_id(request.headers());
    layers.introduce(&mut request, &id);
    let line = Line::begin(&request, &id);
    let rates = request.extensions().get::<RateReport>().cloned().unwrap_or_default();
    let mut response = cors(&layers.cors, request, |request| guard(&layers, request, next, &line)).await;
    line.end(&layers.metrics, response.status(), started.elapsed());
    let status = response.status();
    let headers = response.headers_mut();
    rates.write(status, headers);
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The fields of a request's log line; each has a bounded length.
struct Line<'r> {
    id: &'r RequestId,
    method: Method,
    route: Option<MatchedPath>,
    path: String,
}

impl<'r> Line<'r> {
    fn begin(request: &Request, id: &'r RequestId) -> Self {
        let path = request.uri().path();
        let path = path[..path.floor_char_boundary(MAX_LOGGED_PATH)].to_owned();
        let route = request.extensions().get::<MatchedPath>().cloned();
        Self { id, method: request.method().clone(), route, path }
    }

    fn end(&self, metrics: &Metrics, status: StatusCode, took: Duration) {
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        metrics.record(&self.method, route, status, took);
        let (method, path, status) = (known_method(&self.method), &self.path, status.as_u16());
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(request_id = &*self.id.0, method, route, path, status, micros, "answered");
    }
}

impl Layers {
    /// Puts the middleware before all of `routes`. Here, so that it is compiled for speed as this crate is, whatever the caller's is
    /// compiled for.
    pub fn before(self, routes: Router) -> Router {
        routes.layer(from_fn_with_state(Arc::new(self), observe))
    }

    /// The client's own id if it is short and plain, else a new one.
    fn request_id(&self, headers: &HeaderMap) -> RequestId {
        let plain = |id: &&str| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain);
        let text = given.map_or_else(|| new_id(&*self.clock, &*self.rng).to_string(), str::to_owned);
        RequestId(text.into())
    }

    /// Puts id, address, identity and origin into the request's extensions.
    fn introduce(&self, request: &mut Request, id: &RequestId) {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let peer = peer.unwrap_or(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        let address = ClientAddress::find(peer, self.client_address_header.as_deref(), request.headers());
        let started = Instant::now();
        let identity = self.resolver.resolve(request.headers());
        let user_agent = user_agent(request.headers());
        host_from_authority(request);
        // SQL finds the id in `request.headers`, also when it was generated here.
        if let Ok(value) = HeaderValue::from_str(&id.0) {
            request.headers_mut().insert(REQUEST_ID, value);
        }
        let extensions = request.extensions_mut();
        extensions.insert(VerifyTime(started.elapsed()));
        extensions.insert(id.clone());
        extensions.insert(Origin { user_agent, ..self.origin(id, address, &identity) });
        extensions.insert(RateReport::default());
        extensions.insert(address);
        extensions.insert(identity);
    }

    /// The origin that the request's transactions report to the database.
    fn origin(&self, id: &RequestId, address: ClientAddress, identity: &Identity) -> Origin {
        let caller = identity.caller().ok();
        Origin {
            request_id: Some(Arc::clone(&id.0)),
            actor: caller
                .map_or_else(|| Actor::Role(rowhouse_kernel::ANON.into()), |caller| Actor::of(caller)),
            tenant: caller.and_then(|caller| caller.tenant),
            address: Some(address.0),
            user_agent: None,
            clock: Arc::clone(&self.clock),
        }
    }
}

/// What the client says it is, as far as it is stored.
fn user_agent(headers: &HeaderMap) -> Option<Arc<str>> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(text.get(..MAX_USER_AGENT).unwrap_or(text).into())
}

/// HTTP/2 names the host in `:authority`; handlers find it in `Host`, as with HTTP/1.1.
fn host_from_authority(request: &mut Request) {
    if request.version() != Version::HTTP_2 || request.headers().contains_key(header::HOST) {
        return;
    }
    let authority = request.uri().authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok());
    if let Some(authority) = authority {
        request.headers_mut().insert(header::HOST, authority);
    }
}
