//! A service that speaks the part of S3 that a store needs, in memory: paged listings, conditional writes, refusals, overload.
//!
//! Leaves the check of signatures to the tests of `sign`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

const PAGE: usize = 3;

#[derive(Default)]
pub(crate) struct Peer {
    pub(crate) objects: Mutex<BTreeMap<String, Bytes>>,
    /// How many requests are answered with 503 before the next is served.
    pub(crate) busy: AtomicU32,
}

/// Serves until the test's runtime ends; the endpoint.
pub(crate) async fn serve(peer: Arc<Peer>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(peer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    endpoint
}

async fn answer(
    State(peer): State<Arc<Peer>>,
    method: Method,
    uri: Uri,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let takes = |busy: u32| busy.checked_sub(1);
    if peer.busy.fetch_update(Ordering::Relaxed, Ordering::Relaxed, takes).is_ok() {
        return (StatusCode::SERVICE_UNAVAILABLE, "<Error><Code>SlowDown</Code></Error>").into_response();
    }
    let authorization =
        headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !authorization.starts_with("AWS4-HMAC-SHA256 Credential=known/") {
        let why = "<Error><Code>InvalidAccessKeyId</Code><Message>unknown key</Message></Error>";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let mut objects = peer.objects.lock().unwrap();
    let Some(key) = uri.path().strip_prefix("/bucket/") else {
        return (StatusCode::NOT_FOUND, "<Error><Code>NoSuchBucket</Code></Error>").into_response();
    };
    match method {
        Method::PUT if headers.contains_key("if-none-match") && objects.contains_key(key) => {
            StatusCode::PRECONDITION_FAILED.into_response()
        }
        Method::PUT => {
            objects.insert(key.to_owned(), body);
            StatusCode::OK.into_response()
        }
        Method::DELETE => {
            objects.remove(key);
            StatusCode::NO_CONTENT.into_response()
        }
        Method::GET if key.is_empty() => list(&objects, &query).into_response(),
        _ => match objects.get(key) {
            Some(body) => body.clone().into_response(),
            None => (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>").into_response(),
        },
    }
}

fn list(objects: &BTreeMap<String, Bytes>, query: &BTreeMap<String, String>) -> String {
    let after = query.get("continuation-token").cloned().unwrap_or_default();
    let matching = objects.iter().filter(|(key, _)| key.starts_with(&query["prefix"]) && **key > after);
    let page: Vec<_> = matching.take(PAGE + 1).collect();
    let mut xml = "<ListBucketResult xmlns=\"x\">".to_owned();
    for (key, body) in page.iter().take(PAGE) {
        let time = "2026-11-28T02:00:00.000Z";
        let size = body.len();
        xml += &format!(
            "<Contents><Key>{key}</Key><LastModified>{time}</LastModified><Size>{size}</Size></Contents>"
        );
    }
    if page.len() > PAGE {
        let token = page[PAGE - 1].0;
        xml +=
            &format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>");
    }
    xml + "</ListBucketResult>"
}
