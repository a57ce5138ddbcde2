//! Listeners: TCP and Unix sockets.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::Stream;

/// How long a client may leave sent data unacknowledged (`TCP_USER_TIMEOUT`).
const UNREAD: Duration = Duration::from_secs(30);

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address; `None` over a Unix socket.
    pub address: Option<SocketAddr>,
}

/// A source of connections.
pub trait Listener: Send + 'static {
    /// The stream of a connection.
    type Stream: Stream;

    /// The next connection.
    fn accept(&mut self) -> impl Future<Output = std::io::Result<(Self::Stream, Peer)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> std::io::Result<(TcpStream, Peer)> {
        let (stream, address) = Self::accept(self).await?;
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, "cannot set the socket's options");
        }
        Ok((stream, Peer { address: Some(address) }))
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn accept(&mut self) -> std::io::Result<(UnixStream, Peer)> {
        let (stream, _) = Self::accept(self).await?;
        Ok((stream, Peer { address: None }))
    }
}

/// Bounds how long a client that reads nothing, or has vanished, holds a response in memory.
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNREAD))?;
    Ok(())
}
