//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that is repeated because its answer was
//! lost has no second effect and gets the first answer, whichever process handles it.
//!
//! A key is claimed before its request runs. A route takes part by extracting [`Once`] after it has authorized the caller:
//! answers are stored and replayed only for authorized requests. The route can store its answer in the transaction of its
//! effect; otherwise the layer stores it afterwards.

mod once;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use rowhouse_crypto::digest_hex;
use rowhouse_db::Control;
use rowhouse_kernel::{Caller, Origin, SharedClock, TenantId};

use super::Problem;
use crate::Identity;

pub use once::{KeptAnswer, Once, Replay};
use store::{Begun, Claim};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks a replayed answer.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key.
const MAX_KEY_BYTES: usize = 255;
/// Most bytes of a request that is remembered.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Most bytes of an answer that is kept; a longer one is not kept, and its request runs again.
const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// Shortest time after which a request without a recorded end counts as lost, and may run again.
const MIN_RUNNING: Duration = Duration::from_mins(1);
/// Answers that are not stored: repeated later, the same request may succeed.
const NOT_KEPT: [StatusCode; 4] = [
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::TOO_MANY_REQUESTS,
];

/// A key and its owner.
#[derive(Debug, Clone)]
struct KeyScope {
    tenant: Option<TenantId>,
    caller: String,
    key: String,
}

/// An answer that can be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    status: StatusCode,
    content_type: Option<HeaderValue>,
    etag: Option<HeaderValue>,
    body: Bytes,
}

/// What [`Once`] finds; a request extension.
#[derive(Debug, Clone)]
enum Pending {
    /// The request has claimed its key. True once its route has authorized the caller.
    Claimed(Claim, Arc<AtomicBool>),
    /// The request has had its effect before.
    Answered(StoredResponse),
}

/// Deduplicates requests that carry a key. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Idempotency {
    control: Control,
    clock: SharedClock,
    running: Duration,
}

impl Idempotency {
    /// Stores keys in the database. A request counts as lost after twice `request_timeout`.
    #[must_use]
    pub fn new(control: Control, clock: SharedClock, request_timeout: Duration) -> Self {
        Self { control, clock, running: MIN_RUNNING.max(request_timeout.saturating_mul(2)) }
    }

    async fn run(&self, request: Request, next: Next) -> Result<Response, Problem> {
        let Some(scope) = scope(&request)? else { return Ok(next.run(request).await) };
        let (mut head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| too_large())?;
        let digest = digest_hex(&format!("{} {}\n{}", head.method, head.uri, String::from_utf8_lossy(&body)));
        let origin = head.extensions.get::<Origin>().cloned();
        let origin = origin.unwrap_or_else(|| Origin::system(&self.clock));
        let claim = match store::begin(&self.control, &origin, &scope, &digest, self.running).await? {
            Begun::First(claim) => claim,
            Begun::Running => return Err(running()),
            Begun::OtherRequest => return Err(other_request()),
            Begun::Answered(answer) => {
                head.extensions.insert(Pending::Answered(answer));
                return Ok(next.run(Request::from_parts(head, Body::from(body))).await);
            }
        };
        let authorized = Arc::new(AtomicBool::new(false));
        head.extensions.insert(Pending::Claimed(claim, Arc::clone(&authorized)));
        let response = next.run(Request::from_parts(head, Body::from(body))).await;
        self.end(&origin, claim, response, authorized.load(Ordering::Relaxed)).await
    }

    /// Stores an answer that its route has not stored, or frees the key.
    async fn end(
        &self,
        origin: &Origin,
        claim: Claim,
        response: Response,
        authorized: bool,
    ) -> Result<Response, Problem> {
        let (response, answer) = read(response).await?;
        let answer = answer.filter(|_| authorized);
        // The request has had its effect; a claim that could not be ended expires.
        if let Err(error) = store::end(&self.control, origin, claim, answer).await {
            tracing::warn!(%error, "the end of a request with an Idempotency-Key was not noted");
        }
        Ok(response)
    }
}

/// The layer, for `axum::middleware::from_fn_with_state`.
pub async fn idempotent(State(idempotency): State<Idempotency>, request: Request, next: Next) -> Response {
    idempotency.run(request, next).await.unwrap_or_else(IntoResponse::into_response)
}

/// `None` for requests without a key, for idempotent methods, and for anonymous callers, who are refused.
fn scope(request: &Request) -> Result<Option<KeyScope>, Problem> {
    let Some(key) = request.headers().get(KEY) else { return Ok(None) };
    if request.method() != Method::POST && request.method() != Method::PATCH {
        return Ok(None);
    }
    let key = key.to_str().ok().filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()));
    let key = key.ok_or_else(|| {
        Problem::malformed(format!("Idempotency-Key: 1 to {MAX_KEY_BYTES} plain characters"))
    })?;
    let caller = request.extensions().get::<Identity>().and_then(|identity| identity.caller().ok());
    let caller = caller.filter(|caller| !caller.is_anonymous());
    Ok(caller.map(|caller| KeyScope {
        tenant: caller.tenant,
        caller: caller_name(caller),
        key: key.to_owned(),
    }))
}

/// The user, the API key, or the role of a caller with neither.
fn caller_name(caller: &Caller) -> String {
    match (caller.user, caller.api_key) {
        (Some(user), _) => format!("user/{user}"),
        (None, Some(key)) => format!("key/{key}"),
        (None, None) => format!("role/{}", caller.role),
    }
}

fn too_large() -> Problem {
    let text = "the body is too long for an Idempotency-Key";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text)
}

fn running() -> Problem {
    let text = "a request with this Idempotency-Key is under way";
    let problem = Problem::new(StatusCode::CONFLICT, "idempotency_key_in_use", text);
    problem.after(Duration::from_secs(1))
}

fn other_request() -> Problem {
    let text = "this Idempotency-Key belongs to another request";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", text)
}

fn replay(answer: StoredResponse) -> Response {
    let mut response = (answer.status, answer.body).into_response();
    let headers = response.headers_mut();
    let mut set = |name, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, answer.content_type);
    set(header::ETAG, answer.etag);
    set(REPLAYED, Some(HeaderValue::from_static("true")));
    response
}

impl StoredResponse {
    /// `None` for answers that are not stored: 5xx, [`NOT_KEPT`], and bodies over [`MAX_ANSWER_BYTES`].
    fn new(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Option<Self> {
        let fits = body.len() <= MAX_ANSWER_BYTES && !status.is_server_error() && !NOT_KEPT.contains(&status);
        let (content_type, etag) = (headers.get(header::CONTENT_TYPE), headers.get(header::ETAG));
        fits.then(|| Self { status, content_type: content_type.cloned(), etag: etag.cloned(), body })
    }
}

/// Reads a response in order to store it.
async fn read(response: Response) -> Result<(Response, Option<StoredResponse>), Problem> {
    let known = http_body::Body::size_hint(response.body()).exact();
    if known.is_none_or(|length| length > MAX_ANSWER_BYTES as u64) {
        return Ok((response, None));
    }
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, MAX_ANSWER_BYTES).await.map_err(|error| {
        tracing::error!(%error, "an answer could not be read");
        Problem::internal()
    })?;
    let answer = StoredResponse::new(head.status, &head.headers, body.clone());
    Ok((Response::from_parts(head, Body::from(body)), answer))
}
