//! HTTP/1.1, with upgrades, and HTTP/2 on one listener.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Version, header};
use http_body::Body as _;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tower::ServiceExt;

use super::early::{RequestHead, Rest};
use super::held::Slot;
use super::preface::{self, Speaks};
use super::{Drain, Peer, Protocol, Stream, draining};
use crate::gate::Closed;

/// Request heads beyond this many bytes are answered 431; hyper answers 414 to targets of 64 KiB and more.
const MAX_HEAD_BYTES: u32 = 128 * 1024;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// HTTP/2 connections without an answer to a ping for this long are closed.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// When draining begins: how long a connection without input may still send its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// HTTP, answered by a router. Every request carries [`Drain`] as an extension, for long responses such as
/// WebSockets; and `ConnectInfo<SocketAddr>` where the peer has an address.
#[derive(Debug, Clone)]
pub struct Http {
    router: Router,
    header_timeout: Duration,
}

impl Protocol for Http {
    async fn serve<S: Stream>(self, mut stream: S, peer: Peer, mut drain: Drain) {
        let Some((speaks, first)) = self.begin(&mut stream, &mut drain).await else { return };
        match speaks {
            Speaks::Http1 => self.serve_http1(stream, first, peer, drain).await,
            Speaks::Http2 => self.serve_http2(stream, first, peer, drain).await,
        }
    }
}

impl Http {
    /// Connections that take longer than `header_timeout` for a request head are closed.
    #[must_use]
    pub fn new(router: Router, header_timeout: Duration) -> Self {
        Self { router, header_timeout }
    }

    /// The first bytes, if they come in time.
    async fn begin<S: Stream>(&self, stream: &mut S, drain: &mut Drain) -> Option<(Speaks, Bytes)> {
        let reading = preface::read(stream);
        let drained = async {
            draining(drain).await;
            tokio::time::sleep(FIRST_REQUEST).await;
        };
        let begun = tokio::select! {
            begun = tokio::time::timeout(self.header_timeout, reading) => begun,
            () = drained => return None,
        };
        begun.ok()?.ok()
    }

    async fn serve_http1<S: Stream>(&self, stream: S, first: Bytes, peer: Peer, mut drain: Drain) {
        let (slot, draining_too) = (Slot::default(), drain.clone());
        let unread = Arc::new(AtomicBool::new(false));
        let service = hyper::service::service_fn(|mut request: Request<Incoming>| {
            introduce(&mut request, peer, &draining_too);
            let (router, unread) = (self.router.clone(), Arc::clone(&unread));
            async move { Ok::<_, Infallible>(answer_early(router, request, &unread).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.header_timeout);
        builder.max_buf_size(MAX_HEAD_BYTES as usize);
        let io = TokioIo::new(slot.hold(first, stream));
        let mut http = Box::pin(builder.serve_connection(io, service).with_upgrades());
        let ended = tokio::select! {
            ended = http.as_mut() => ended,
            () = draining(&mut drain) => {
                http.as_mut().graceful_shutdown();
                http.as_mut().await
            }
        };
        drop(http);
        if let Err(error) = &ended {
            tracing::debug!(%error, ?peer, "connection ended");
        }
        if ended.is_err() || unread.load(Ordering::Relaxed) {
            slot.linger().await;
        }
    }

    async fn serve_http2<S: Stream>(&self, stream: S, first: Bytes, peer: Peer, mut drain: Drain) {
        let draining_too = drain.clone();
        let service = hyper::service::service_fn(|mut request: Request<Incoming>| {
            introduce(&mut request, peer, &draining_too);
            answer(self.router.clone(), request.map(axum::body::Body::new))
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD_BYTES);
        builder.keep_alive_interval(PING_TIMEOUT).keep_alive_timeout(PING_TIMEOUT);
        let io = TokioIo::new(Slot::default().hold(first, stream));
        let mut http = Box::pin(builder.serve_connection(io, service));
        let ended = tokio::select! {
            ended = http.as_mut() => ended,
            () = draining(&mut drain) => {
                http.as_mut().graceful_shutdown();
                http.as_mut().await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, ?peer, "connection ended");
        }
    }
}

fn introduce(request: &mut Request<Incoming>, peer: Peer, drain: &Drain) {
    let extensions = request.extensions_mut();
    extensions.insert(drain.clone());
    if let Some(address) = peer.address {
        extensions.insert(ConnectInfo(address));
    }
}

async fn answer(router: Router, request: Request<axum::body::Body>) -> Result<Response, Infallible> {
    let mut response = router.oneshot(request).await?;
    // The router adds the methods that a path has; one that is closed to the caller has none.
    if response.extensions().get::<Closed>().is_some() {
        response.headers_mut().remove(header::ALLOW);
    }
    Ok(response)
}

/// As [`answer`]; sets `unread` and closes the connection if the rest of the body cannot be drained.
async fn answer_early(router: Router, request: Request<Incoming>, unread: &AtomicBool) -> Response {
    let never = |never: Infallible| match never {};
    if request.body().is_end_stream() {
        return answer(router, request.map(axum::body::Body::new)).await.unwrap_or_else(never);
    }
    let (rest, head) = (Rest::default(), RequestHead::of(request.headers()));
    let request = request.map(|body| axum::body::Body::new(rest.lend(body)));
    let version = request.version();
    let mut response = answer(router, request).await.unwrap_or_else(never);
    if !rest.is_taken_in(&head).await {
        unread.store(true, Ordering::Relaxed);
        if version == Version::HTTP_11 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
    response
}
