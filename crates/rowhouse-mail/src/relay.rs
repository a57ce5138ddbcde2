//! The SMTP client that hands mails to the relay (RFC 5321). A connection is owned by the session that uses it and
//! returns to the pool only after the session's last reply has been read. A session that is dropped before (time-out,
//! cancelled job, shutdown) closes its connection, so no mail can read the reply to another. Leaves judging replies
//! to `reply`.

mod answer;
mod connection;
mod data;
mod tls;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rowhouse_kernel::Secret;

use self::connection::Connection;
use self::tls::Encryption;
use crate::error::MailError;
use crate::settings::MailSettings;
use crate::transport::{Envelope, TransportError};

/// An idle connection older than this is closed instead of used.
const MAX_IDLE: Duration = Duration::from_secs(60);
/// How long connecting, greeting, encryption and sign-in may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an idle connection may take to answer RSET before a new one is opened.
const RESET_TIMEOUT: Duration = Duration::from_secs(5);

/// The SMTP server that takes all mails, and its idle connections.
#[derive(Debug)]
pub(crate) struct Relay {
    server: Server,
    timeout: Duration,
    idle: Mutex<Vec<Idle>>,
    max_idle: usize,
}

/// The relay's address, encryption and account.
#[derive(Debug)]
struct Server {
    host: String,
    port: u16,
    /// The name sent in EHLO.
    client_name: String,
    encryption: Encryption,
    account: Option<Account>,
}

#[derive(Debug)]
struct Account {
    user: String,
    password: Secret,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

impl Relay {
    /// # Errors
    /// [`MailError::Unusable`] if no relay is named, or its certificate cannot be read.
    pub(crate) fn new(settings: &MailSettings) -> Result<Self, MailError> {
        let host = settings.relay_host.clone();
        let host = host.ok_or_else(|| MailError::Unusable("mail.relay_host is not set".to_owned()))?;
        let account = settings.relay_user.clone().zip(settings.relay_password.clone());
        let server = Server {
            encryption: tls::encryption(settings, &host)?,
            host,
            port: settings.relay_port,
            client_name: client_name(),
            account: account.map(|(user, password)| Account { user, password }),
        };
        let max_idle = usize::from(settings.relay_connections.max(1));
        Ok(Self { server, timeout: settings.relay_timeout, idle: Mutex::default(), max_idle })
    }

    /// Delivers one mail; returns the relay's reply to the message.
    pub(crate) async fn deliver(
        &self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<String, TransportError> {
        let conversation = async {
            let mut connection = self.connection().await?;
            let result = connection.send(envelope, message).await;
            if connection.is_reusable() {
                self.put_back(connection);
            }
            result
        };
        tokio::time::timeout(self.timeout, conversation).await.unwrap_or_else(|_| {
            Err(TransportError::Broken(format!("no answer within {:?} (mail.relay_timeout)", self.timeout)))
        })
    }

    async fn connection(&self) -> Result<Connection, TransportError> {
        while let Some(mut idle) = self.take_idle() {
            let is_fresh = idle.since.elapsed() < MAX_IDLE;
            if is_fresh
                && matches!(tokio::time::timeout(RESET_TIMEOUT, idle.connection.reset()).await, Ok(Ok(())))
            {
                return Ok(idle.connection);
            }
        }
        let limit = CONNECT_TIMEOUT.min(self.timeout);
        tokio::time::timeout(limit, Connection::open(&self.server)).await.unwrap_or_else(|_| {
            Err(TransportError::Unreachable(format!("connection error: not established within {limit:?}")))
        })
    }

    fn take_idle(&self) -> Option<Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.max_idle {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }
}

/// This machine's host name, or an address literal if the name is not valid in EHLO (RFC 5321 section 4.1.3).
fn client_name() -> String {
    let name = hostname::get().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
    if is_name { name } else { "[127.0.0.1]".to_owned() }
}
