//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that is repeated because its answer was
//! lost has no second effect and gets the first answer.
//!
//! Keys are scoped by tenant and caller. Storage is left to an [`IdempotencyStore`].

mod memory;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use rowhouse_crypto::digest_hex;
use rowhouse_kernel::{Caller, SharedClock};
use time::OffsetDateTime;

use super::Problem;
use crate::Identity;

pub use memory::MemoryStore;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks a replayed answer.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key.
const MAX_KEY_BYTES: usize = 255;
/// Most bytes of a request that is remembered.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Most bytes of an answer that is kept; a longer one is not kept, and its request runs again.
const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// A request without a recorded end counts as lost after this time, and may run again.
pub const RUNNING_LIMIT: time::Duration = time::Duration::minutes(1);
/// How long answers are kept.
pub const KEPT: time::Duration = time::Duration::hours(24);

/// A key and its owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyScope {
    /// Tenant and caller.
    pub caller: String,
    /// The key as the client sent it.
    pub key: String,
}

/// An answer that can be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its content type.
    pub content_type: Option<HeaderValue>,
    /// Its body.
    pub body: Bytes,
}

/// The state of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Unused; it is now taken by this request.
    First,
    /// A request with this key is under way.
    Running,
    /// The key belongs to another request.
    OtherRequest,
    /// The request was answered with this.
    Answered(Answer),
}

/// Keeps keys and answers.
pub trait IdempotencyStore: Send + Sync {
    /// Takes the key for the request with this digest, unless it is in use.
    fn begin<'s>(
        &'s self,
        scope: &'s KeyScope,
        request: &'s str,
        now: OffsetDateTime,
    ) -> BoxFuture<'s, Result<Begun, Problem>>;

    /// Keeps the answer; without one, frees the key.
    fn end<'s>(
        &'s self,
        scope: &'s KeyScope,
        answer: Option<Answer>,
        now: OffsetDateTime,
    ) -> BoxFuture<'s, Result<(), Problem>>;
}

/// Deduplicates requests that carry a key. Cheap to clone.
#[derive(Clone)]
pub struct Idempotency {
    store: Arc<dyn IdempotencyStore>,
    clock: SharedClock,
}

impl Idempotency {
    /// Uses that store.
    #[must_use]
    pub fn new(store: Arc<dyn IdempotencyStore>, clock: SharedClock) -> Self {
        Self { store, clock }
    }

    async fn run(&self, request: Request, next: Next) -> Result<Response, Problem> {
        let Some(scope) = scope(&request)? else { return Ok(next.run(request).await) };
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is too long for an idempotency key",
            )
        })?;
        let digest = digest_hex(&format!("{} {}\n{}", head.method, head.uri, String::from_utf8_lossy(&body)));
        match self.store.begin(&scope, &digest, self.clock.now()).await? {
            Begun::First => {}
            Begun::Running => return Err(running()),
            Begun::OtherRequest => return Err(other_request()),
            Begun::Answered(answer) => return Ok(replay(answer)),
        }
        let response = next.run(Request::from_parts(head, Body::from(body))).await;
        let (response, answer) = keep(response).await?;
        self.store.end(&scope, answer, self.clock.now()).await?;
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
    let caller = caller.filter(|caller| !caller.is_anonymous()).map(|caller| caller_name(caller));
    Ok(caller.map(|caller| KeyScope { caller, key: key.to_owned() }))
}

/// Callers with a user are that user in that tenant; others are their role in that tenant.
fn caller_name(caller: &Caller) -> String {
    let tenant = caller.tenant.map(|tenant| tenant.0.to_string()).unwrap_or_default();
    match caller.user {
        Some(user) => format!("{tenant}/user/{}", user.0),
        None => format!("{tenant}/role/{}", caller.role),
    }
}

fn running() -> Problem {
    let text = "a request with this Idempotency-Key is under way";
    let problem = Problem::new(StatusCode::CONFLICT, "idempotency_key_in_use", text);
    problem.after(std::time::Duration::from_secs(1))
}

fn other_request() -> Problem {
    let text = "this Idempotency-Key belongs to another request";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", text)
}

fn replay(answer: Answer) -> Response {
    let mut response = (answer.status, answer.body).into_response();
    let headers = response.headers_mut();
    if let Some(content_type) = answer.content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// Reads a response in order to store it. 5xx responses are not stored: the request may be retried.
async fn keep(response: Response) -> Result<(Response, Option<Answer>), Problem> {
    let known = http_body::Body::size_hint(response.body()).exact();
    let short = known.is_some_and(|length| length <= MAX_ANSWER_BYTES as u64);
    if response.status().is_server_error() || !short {
        return Ok((response, None));
    }
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, MAX_ANSWER_BYTES).await.map_err(|error| {
        tracing::error!(%error, "an answer could not be read");
        Problem::internal()
    })?;
    let content_type = head.headers.get(header::CONTENT_TYPE).cloned();
    let answer = Answer { status: head.status, content_type, body: body.clone() };
    Ok((Response::from_parts(head, Body::from(body)), Some(answer)))
}

#[cfg(test)]
mod tests;
