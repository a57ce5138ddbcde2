//! A stream that begins with bytes already read, and that is returned when hyper drops it, so that input can be
//! drained after the response.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::Stream;

/// How long, and in how many reads, the rest of a refused request is drained.
const LINGER: Duration = Duration::from_secs(1);
const MAX_LINGER_READS: usize = 256;

/// Where a stream is returned to.
pub(super) struct Slot<S>(Arc<Mutex<Option<S>>>);

impl<S> Default for Slot<S> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<S: Stream> Slot<S> {
    /// Wraps a stream from which `first` has been read.
    pub(super) fn hold(&self, first: Bytes, stream: S) -> Held<S> {
        Held { first, stream: Some(stream), slot: Arc::clone(&self.0) }
    }

    /// Lingering close: drains input for a moment after the response. Closing at once would reset the connection, and
    /// the client might lose the response (RFC 9112 section 9.6). Does nothing after an upgrade.
    pub(super) async fn linger(self) {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut stream) = stream else { return };
        let mut rest = [0; 16 * 1024];
        let reading = async {
            let _closed_before = stream.shutdown().await;
            for _ in 0..MAX_LINGER_READS {
                if !matches!(stream.read(&mut rest).await, Ok(1..)) {
                    break;
                }
            }
        };
        let _too_slow = tokio::time::timeout(LINGER, reading).await;
    }
}

/// The stream that hyper uses.
pub(super) struct Held<S> {
    first: Bytes,
    /// `None` only while it is dropped.
    stream: Option<S>,
    slot: Arc<Mutex<Option<S>>>,
}

impl<S> Drop for Held<S> {
    fn drop(&mut self) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
    }
}

impl<S: Stream> Held<S> {
    fn stream(&mut self) -> Result<Pin<&mut S>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| std::io::ErrorKind::NotConnected.into())
    }
}

/// Polls the inner stream, or fails if it was returned.
macro_rules! within {
    ($held:expr, $poll:ident, $($argument:expr),*) => {
        match $held.stream() {
            Ok(stream) => stream.$poll($($argument),*),
            Err(error) => Poll::Ready(Err(error)),
        }
    };
}

impl<S: Stream> AsyncRead for Held<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.first.is_empty() {
            return within!(self, poll_read, cx, buf);
        }
        let count = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first[..count]);
        self.first.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for Held<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        within!(self, poll_write, cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        within!(self, poll_write_vectored, cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        within!(self, poll_flush, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        within!(self, poll_shutdown, cx)
    }
}
