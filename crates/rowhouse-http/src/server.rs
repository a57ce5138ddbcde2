//! The accept loop of every listener: limits for connections and slow clients, and graceful shutdown.
//!
//! Leaves the protocol to a [`Protocol`]; [`Http`] is the one in this crate.

mod early;
mod held;
mod http;
mod listener;
mod preface;
mod shutdown;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::settings::ServerSettings;

pub use http::Http;
pub use listener::{Listener, Peer};
pub use shutdown::Shutdown;

/// Pause after a failed accept (out of descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Limits of one listener.
#[derive(Debug, Clone)]
pub struct Server {
    /// Connections served at once; further ones wait in the listen queue.
    pub max_connections: usize,
    /// How long a client may take to send a request's head, and how long an idle connection is kept.
    pub header_timeout: Duration,
    /// How long shutdown waits for requests in flight.
    pub drain_timeout: Duration,
}

/// Becomes true when a server must accept nothing new and finish what it has.
pub type Drain = watch::Receiver<bool>;

impl From<&ServerSettings> for Server {
    fn from(settings: &ServerSettings) -> Self {
        Self {
            max_connections: settings.max_connections.max(1) as usize,
            header_timeout: settings.header_timeout,
            drain_timeout: settings.drain_timeout,
        }
    }
}

/// A byte stream: TCP, TLS or a Unix socket.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// The protocol of a connection.
pub trait Protocol: Clone + Send + Sync + 'static {
    /// Serves one connection to its end; ends soon after `drain` becomes true.
    fn serve<S: Stream>(self, stream: S, peer: Peer, drain: Drain) -> impl Future<Output = ()> + Send;
}

/// Serves `router` over HTTP until `drain` becomes true; see [`accept`].
pub async fn serve<L: Listener>(listener: L, router: Router, server: Server, drain: Drain) -> usize {
    let http = Http::new(router, server.header_timeout);
    accept(listener, http, server, drain).await
}

/// Serves `protocol` on `listener` until `drain` becomes true; then waits for open connections, up to the limit.
/// Returns how many had not ended by then.
pub async fn accept<L: Listener, P: Protocol>(
    mut listener: L,
    protocol: P,
    server: Server,
    mut drain: Drain,
) -> usize {
    let permits = Arc::new(Semaphore::new(server.max_connections));
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        let next = tokio::select! {
            biased;
            () = draining(&mut drain) => break,
            next = next => next,
        };
        let Some((accepted, permit)) = next else { break };
        match accepted {
            Ok((stream, peer)) => {
                let stream = Counted { stream, _permit: permit };
                tokio::spawn(protocol.clone().serve(stream, peer, drain.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all = u32::try_from(server.max_connections).unwrap_or(u32::MAX);
    match tokio::time::timeout(server.drain_timeout, permits.acquire_many(all)).await {
        Ok(_all_ended) => 0,
        Err(_) => server.max_connections - permits.available_permits(),
    }
}

/// Resolves when `drain` becomes true.
pub(crate) async fn draining(drain: &mut Drain) {
    let _sender_gone = drain.wait_for(|drain| *drain).await;
}

/// A connection that counts against its listener's limit until it is closed, also after an upgrade from HTTP.
struct Counted<S> {
    stream: S,
    _permit: OwnedSemaphorePermit,
}

impl<S: Stream> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: Stream> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
