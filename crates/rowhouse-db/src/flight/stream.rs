//! The socket under a data-plane connection: unix or TCP.

use std::io;

use bytes::BytesMut;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::url::{PEER_TIMEOUT, PROBE_EVERY};

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    /// The socket file itself.
    Unix(std::path::PathBuf),
    /// Host name or address, and port.
    Tcp(String, u16),
}

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// As `url::read` asks of the other connections.
fn give_up_on_silence(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new().with_time(PROBE_EVERY).with_interval(PROBE_EVERY).with_retries(2);
    socket.set_tcp_keepalive(&probes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(PEER_TIMEOUT))?;
    Ok(())
}

impl Stream {
    pub(crate) async fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => UnixStream::connect(path).await.map(Self::Unix),
            Address::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                give_up_on_silence(&stream)?;
                Ok(Self::Tcp(stream))
            }
        }
    }

    /// Reads what is there into `buffer`; the server's end of file is an error.
    pub(crate) async fn fill(&mut self, buffer: &mut BytesMut) -> io::Result<()> {
        let n = match self {
            Self::Unix(stream) => stream.read_buf(buffer).await?,
            Self::Tcp(stream) => stream.read_buf(buffer).await?,
        };
        if n == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.write_all(bytes).await,
            Self::Tcp(stream) => stream.write_all(bytes).await,
        }
    }

    /// True while nothing has arrived on an idle connection. A server that went away has sent its farewell or
    /// an end of file; either way the connection is not to be used again.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [0_u8; 1];
        let read = match self {
            Self::Unix(stream) => stream.try_read(&mut byte),
            Self::Tcp(stream) => stream.try_read(&mut byte),
        };
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}
