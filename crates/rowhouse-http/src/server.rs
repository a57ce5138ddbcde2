//! Sockets: accepting, limits on slow and many clients, and a shutdown that lets requests finish.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use rowhouse_kernel::settings::ServerSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

/// Request heads beyond this many bytes are answered 431; hyper answers 414 to targets of 64 KiB and more.
const MAX_HEAD_BYTES: usize = 128 * 1024;
/// Pause after a failed accept (out of descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long and how often the rest of a refused request is taken in.
const LINGER: Duration = Duration::from_secs(1);
const MAX_LINGER_READS: usize = 256;

/// How long an answer may lie unread by a client that takes in nothing at all.
const UNREAD: Duration = Duration::from_secs(30);

/// Limits of one listener.
#[derive(Debug, Clone)]
pub struct Server {
    max_connections: usize,
    header_timeout: Duration,
    drain_timeout: Duration,
}

/// Tells a running server to take nothing more and finish what it has.
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

/// Serves `router` on `listener` until `drain` turns true; then waits for requests in flight, up to the limit.
/// Returns how many connections had to be cut.
pub async fn serve(listener: TcpListener, router: Router, server: Server, mut drain: Drain) -> usize {
    let permits = Arc::new(Semaphore::new(server.max_connections));
    let connections = http_builder(&server);
    loop {
        let permit = tokio::select! {
            biased;
            () = told(&mut drain) => break,
            permit = Arc::clone(&permits).acquire_owned() => permit,
        };
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! {
            biased;
            () = told(&mut drain) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let work = connection(connections.clone(), stream, peer, router.clone(), drain.clone());
                tokio::spawn(async move {
                    work.await;
                    drop(permit);
                });
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

fn http_builder(server: &Server) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(server.header_timeout).max_buf_size(MAX_HEAD_BYTES);
    builder
}

async fn told(drain: &mut Drain) {
    let _sender_gone = drain.wait_for(|drain| *drain).await;
}

async fn connection(
    builder: http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut drain: Drain,
) {
    if let Err(error) = prepare(&stream) {
        tracing::debug!(%error, "cannot set the socket's options");
    }
    let Ok(spare) = stream.as_fd().try_clone_to_owned() else { return };
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request.map(axum::body::Body::new));
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let mut http = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = http.as_mut() => ended,
        () = told(&mut drain) => {
            http.as_mut().graceful_shutdown();
            http.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "connection ended");
        linger(spare).await;
    }
}

/// A client that takes nothing of its answer, or has vanished, holds it in our memory no longer than this.
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNREAD))?;
    Ok(())
}

/// After a refusal that left part of the request unread, takes in the rest for a moment: closing at once would reset
/// the connection, and the client might never read why (RFC 9112 section 9.6).
async fn linger(socket: OwnedFd) {
    let Ok(mut stream) = TcpStream::from_std(std::net::TcpStream::from(socket)) else { return };
    let mut rest = [0; 16 * 1024];
    let taking_in = async {
        stream.shutdown().await?;
        for _ in 0..MAX_LINGER_READS {
            if stream.read(&mut rest).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    let _gone_or_too_slow = tokio::time::timeout(LINGER, taking_in).await;
}

#[cfg(test)]
mod tests;
