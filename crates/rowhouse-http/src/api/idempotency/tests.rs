use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use http_body_util::BodyExt;
use rowhouse_kernel::{Caller, FakeClock, TenantId};
use time::OffsetDateTime;
use tower::ServiceExt;
use uuid::Uuid;

use super::{Begun, Idempotency, IdempotencyStore, KEPT, KeyScope, MemoryStore, RUNNING_LIMIT, idempotent};
use crate::Identity;

struct World {
    router: Router,
    clock: Arc<FakeClock>,
}

/// Counts what has an effect; `/broken` fails.
fn world() -> World {
    let runs = Arc::new(AtomicU32::new(0));
    let count = async move |request: Request| -> Response {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        match request.uri().path() {
            "/broken" => (StatusCode::INTERNAL_SERVER_ERROR, run.to_string()).into_response(),
            _ => (StatusCode::CREATED, run.to_string()).into_response(),
        }
    };
    let clock = FakeClock::at(OffsetDateTime::UNIX_EPOCH);
    let idempotency = Idempotency::new(Arc::new(MemoryStore::default()), clock.clone());
    let router = Router::new().route("/make", post(count.clone())).route("/broken", post(count));
    World { router: router.layer(from_fn_with_state(idempotency, idempotent)), clock }
}

fn tenant(n: u128) -> Caller {
    let tenant = Some(TenantId(Uuid::from_u128(n)));
    Caller { role: "service_role".into(), tenant, ..Caller::anonymous() }
}

impl World {
    async fn post(&self, caller: Caller, path: &str, key: &str, body: &'static str) -> (u16, String) {
        let mut request = Request::builder().method("POST").uri(path).body(Body::from(body)).unwrap();
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        request.extensions_mut().insert(Identity::Caller(caller.into()));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn request_sent_again_has_no_second_effect() {
    let world = world();
    let first = world.post(tenant(1), "/make", "a", "{}").await;
    assert_eq!(first, (201, "0".to_owned()));
    assert_eq!(world.post(tenant(1), "/make", "a", "{}").await, first);
    assert_eq!(world.post(tenant(1), "/make", "b", "{}").await.1, "1");
    assert_eq!(world.post(tenant(2), "/make", "a", "{}").await.1, "2", "keys of two tenants are two keys");
    world.clock.advance(KEPT);
    assert_eq!(world.post(tenant(1), "/make", "a", "{}").await.1, "3");
}

#[tokio::test]
async fn key_of_another_request_is_refused() {
    let world = world();
    world.post(tenant(1), "/make", "a", "{}").await;
    for (path, body) in [("/make", "[]"), ("/broken", "{}")] {
        let (status, text) = world.post(tenant(1), path, "a", body).await;
        assert_eq!((status, text.contains("idempotency_key_reused")), (422, true), "{text}");
    }
    assert_eq!(world.post(tenant(1), "/make", &"k".repeat(256), "{}").await.0, 400);
}

#[tokio::test]
async fn server_error_is_not_stored_and_may_be_retried() {
    let world = world();
    assert_eq!(world.post(tenant(1), "/broken", "a", "").await.1, "0");
    assert_eq!(world.post(tenant(1), "/broken", "a", "").await.1, "1");
}

#[tokio::test]
async fn key_is_in_use_while_its_request_runs_and_free_when_that_is_lost() {
    let store = MemoryStore::default();
    let scope = KeyScope { caller: "x".to_owned(), key: "a".to_owned() };
    let begin = async |now| store.begin(&scope, "digest", now).await.unwrap();
    let now = OffsetDateTime::UNIX_EPOCH;
    assert_eq!(begin(now).await, Begun::First);
    assert_eq!(begin(now).await, Begun::Running);
    assert_eq!(begin(now + RUNNING_LIMIT).await, Begun::First);
}

#[tokio::test]
async fn one_caller_s_keys_do_not_evict_another_s() {
    let store = MemoryStore::default();
    let now = OffsetDateTime::UNIX_EPOCH;
    let scope = |caller: &str, n: u32| KeyScope { caller: caller.to_owned(), key: n.to_string() };
    store.begin(&scope("quiet", 0), "digest", now).await.unwrap();
    for n in 0..5000 {
        store.begin(&scope("busy", n), "digest", now).await.unwrap();
    }
    assert_eq!(store.begin(&scope("quiet", 0), "digest", now).await.unwrap(), Begun::Running);
    assert!(store.kept().order.len() <= 501);
}
