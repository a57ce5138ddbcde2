//! `target_session_attrs`: which of the URL's servers a connection may use, by libpq's rules. A server reports its state at
//! sign-in and whenever it changes (PostgreSQL protocol, ParameterStatus), so nothing has to be asked.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

/// The servers that a connection may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SessionAttrs {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// What a server reports of itself, from PostgreSQL 14 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ServerState {
    pub(crate) is_standby: bool,
    pub(crate) is_read_only: bool,
}

impl SessionAttrs {
    const ALL: [(&'static str, Self); 6] = [
        ("any", Self::Any),
        ("read-write", Self::ReadWrite),
        ("read-only", Self::ReadOnly),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        ("prefer-standby", Self::PreferStandby),
    ];

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, attrs)| attrs)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, attrs)| *attrs == self).map_or("any", |(name, _)| name)
    }

    /// What the servers are tried for, in turn.
    pub(crate) fn passes(self) -> &'static [Self] {
        match self {
            Self::Any => &[Self::Any],
            Self::ReadWrite => &[Self::ReadWrite],
            Self::ReadOnly => &[Self::ReadOnly],
            Self::Primary => &[Self::Primary],
            Self::Standby => &[Self::Standby],
            Self::PreferStandby => &[Self::Standby, Self::Any],
        }
    }

    /// Whether a server in that state may be used, in one of the [passes](Self::passes).
    pub(crate) fn accepts(self, server: ServerState) -> bool {
        let is_writable = !server.is_standby && !server.is_read_only;
        match self {
            Self::Any | Self::PreferStandby => true,
            Self::ReadWrite => is_writable,
            Self::ReadOnly => !is_writable,
            Self::Primary => !server.is_standby,
            Self::Standby => server.is_standby,
        }
    }

    pub(crate) fn refusal(self) -> String {
        format!("no server is as target_session_attrs={} asks", self.name())
    }

    /// Fails with the refusal, as an error of tokio-postgres, which has no constructor.
    pub(super) async fn refuse(self) -> Result<(), tokio_postgres::Error> {
        let mut config = Config::new();
        config.user("nobody").ssl_mode(SslMode::Disable);
        config.connect_raw(Refusing(self), NoTls).await.map(drop)
    }
}

impl ServerState {
    /// As the parameters of a session tell.
    pub(crate) fn of<'a>(parameter: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        let is_on = |name| parameter(name) == Some("on");
        Self { is_standby: is_on("in_hot_standby"), is_read_only: is_on("default_transaction_read_only") }
    }

    /// Takes a change over.
    pub(crate) fn note(&mut self, name: &str, value: &str) {
        match name {
            "in_hot_standby" => self.is_standby = value == "on",
            "default_transaction_read_only" => self.is_read_only = value == "on",
            _ => {}
        }
    }
}

/// A connection that fails with the refusal.
struct Refusing(SessionAttrs);

impl Refusing {
    fn error(&self) -> io::Error {
        io::Error::new(io::ErrorKind::PermissionDenied, self.0.refusal())
    }
}

impl AsyncRead for Refusing {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(self.error()))
    }
}

impl AsyncWrite for Refusing {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(self.error()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(self.error()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
