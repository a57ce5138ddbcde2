//! The socket under a data-plane connection: unix or TCP.

use std::io;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::login::lost;
use crate::error::DbError;
use crate::tls::{Tls, end_point, explain};
use crate::url::{PEER_TIMEOUT, PROBE_EVERY};

/// The error for a server without TLS where TLS is required.
const NO_TLS: &str =
    "the server does not offer TLS; sslmode=disable goes on in plain text, which anybody on the way can read";

/// The address of a server.
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
    Tls(Box<TlsStream<TcpStream>>),
}

/// Keepalive and user timeout, as `url::read` configures them for other connections.
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

    /// Negotiates TLS as `tls` requires (protocol 3.0, "SSL Session Encryption").
    pub(crate) async fn secured(self, address: &Address, tls: &Tls) -> Result<Self, DbError> {
        let (Self::Tcp(mut stream), Address::Tcp(host, _), true) = (self, address, tls.is_wanted()) else {
            return Err(DbError::Protocol("TLS over a socket folder".into()));
        };
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        stream.write_all(&request).await.map_err(lost)?;
        match stream.read_u8().await.map_err(lost)? {
            b'S' => match tls.handshake(host, stream).await {
                Ok(stream) => Ok(Self::Tls(Box::new(stream))),
                Err(error) => Err(match explain(&error) {
                    Some(why) => DbError::Unavailable(why.into()),
                    None => lost(error),
                }),
            },
            _ if tls.is_required() => Err(DbError::Unavailable(NO_TLS.to_owned().into())),
            _ => Ok(Self::Tcp(stream)),
        }
    }

    /// The digest of the server's certificate for channel binding; none without TLS.
    pub(crate) fn end_point(&self) -> Option<Vec<u8>> {
        match self {
            Self::Tls(stream) => end_point(stream.get_ref().1.peer_certificates()?.first()?),
            _ => None,
        }
    }

    /// Reads available bytes into `buffer`; end of file is an error.
    pub(crate) async fn fill(&mut self, buffer: &mut BytesMut) -> io::Result<()> {
        let n = match self {
            Self::Unix(stream) => stream.read_buf(buffer).await?,
            Self::Tcp(stream) => stream.read_buf(buffer).await?,
            Self::Tls(stream) => stream.read_buf(buffer).await?,
        };
        if n == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.write_all(bytes).await,
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// True while nothing has arrived on an idle connection. A server that has gone has sent an error or end of file;
    /// either way the connection must not be reused.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [0_u8; 1];
        let read = match self {
            Self::Unix(stream) => stream.try_read(&mut byte),
            Self::Tcp(stream) => stream.try_read(&mut byte),
            // Any input closes the connection, so the byte that is read is not needed.
            Self::Tls(stream) => stream.get_ref().0.try_read(&mut byte),
        };
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}
