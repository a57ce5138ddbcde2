//! Responses sent before the request's body was read: the rest of the body is drained if it is short and arrives
//! soon, else the connection is closed after the response. Either way the client can read the response (RFC 9112
//! sections 9.3 and 9.6).

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// Largest rest that is drained.
const MAX_REST_BYTES: u64 = 256 * 1024;
/// Longest time for draining.
const MAX_REST_TIME: Duration = Duration::from_millis(500);

/// The part of a request's body that its handler has not read.
#[derive(Clone, Default)]
pub(super) struct Rest(Arc<Mutex<Left>>);

#[derive(Default)]
struct Left {
    body: Option<Incoming>,
    asked_for: bool,
}

/// A request's body; when it is dropped, the unread part returns to [`Rest`].
pub(super) struct Lent {
    /// `None` only while it is dropped.
    body: Option<Incoming>,
    asked_for: bool,
    rest: Rest,
}

impl Rest {
    /// The body for the handler.
    pub(super) fn lend(&self, body: Incoming) -> Lent {
        Lent { body: Some(body), asked_for: false, rest: self.clone() }
    }

    /// After the response: drains the body; whether the connection can be reused.
    pub(super) async fn is_taken_in(&self, request: &RequestHead) -> bool {
        let (body, asked_for) = {
            let mut left = self.left();
            (left.body.take(), left.asked_for)
        };
        let Some(body) = body.filter(|body| !body.is_end_stream()) else { return true };
        // Polling the body would send `100 Continue`, which a refused client must not get.
        if request.expects_continue && !asked_for || body.size_hint().lower() > MAX_REST_BYTES {
            return false;
        }
        tokio::time::timeout(MAX_REST_TIME, take_in(body)).await.unwrap_or(false)
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Facts about a request that are needed after its handler has consumed it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestHead {
    expects_continue: bool,
}

impl RequestHead {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self { expects_continue: headers.contains_key(header::EXPECT) }
    }
}

async fn take_in(mut body: Incoming) -> bool {
    let mut taken = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        taken += frame.data_ref().map_or(0, Bytes::len) as u64;
        if taken > MAX_REST_BYTES {
            return false;
        }
    }
    true
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut left = self.rest.left();
        left.body = self.body.take();
        left.asked_for = self.asked_for;
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.asked_for = true;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}
