//! The listening socket: connections, STARTTLS, and a shutdown that lets messages under way finish. Leaves credentials and
//! storage to `database`.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::Control;
use rowhouse_kernel::settings::MailSettings;
use rowhouse_kernel::{Secret, SharedClock, SharedRng};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::database::DatabaseBackend;
use super::memory::MemoryBudget;
use super::session::{Peer, ServerContext, SessionEnd, converse};
use super::{reply, tls};
use crate::error::MailError;
use crate::intake::Intake;

/// Connections at once.
const MOST_CONNECTIONS: u32 = 1000;
/// Messages under way, of all connections together, in bytes.
const MEMORY: usize = 256 * 1024 * 1024;
/// Pause after a failed accept (out of descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long TLS may take to be agreed upon.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long sessions may take to end once told.
const DRAIN: Duration = Duration::from_secs(10);

/// Says whether that is a service_role key that stands at this moment.
pub type KeyCheck = Arc<dyn Fn(Secret) -> KeyChecked + Send + Sync>;
/// The answer to come.
pub type KeyChecked = Pin<Box<dyn Future<Output = bool> + Send>>;

/// What submission is made of.
pub struct SubmissionParts {
    /// Takes the messages.
    pub intake: Intake,
    /// Where credentials are.
    pub control: Control,
    /// `[mail]`: certificate and limits.
    pub settings: MailSettings,
    /// Name in the greeting.
    pub host: String,
    /// service_role keys are credentials, too.
    pub is_service_key: KeyCheck,
    /// The time.
    pub clock: SharedClock,
    /// For session ids.
    pub rng: SharedRng,
}

/// The submission server.
#[derive(Clone)]
pub struct Submission {
    context: Arc<ServerContext<DatabaseBackend>>,
    tls: Option<TlsAcceptor>,
}

impl Submission {
    /// Reads the certificate.
    ///
    /// # Errors
    /// [`MailError::Unusable`] if certificate or key cannot be used.
    pub fn new(parts: SubmissionParts) -> Result<Self, MailError> {
        let tls = tls::acceptor(&parts.settings)?;
        let max_message_bytes = usize::try_from(parts.intake.mailer().max_message_bytes()).unwrap_or(MEMORY);
        let is_capture = parts.intake.mailer().captures();
        let backend = DatabaseBackend {
            intake: parts.intake,
            control: parts.control,
            is_service_key: parts.is_service_key,
        };
        let context = ServerContext {
            backend,
            host: parts.host,
            max_message_bytes: max_message_bytes.min(MEMORY),
            is_capture,
            has_tls: tls.is_some(),
            memory: MemoryBudget::new(MEMORY),
            clock: parts.clock,
            rng: parts.rng,
        };
        Ok(Self { context: Arc::new(context), tls })
    }

    /// Serves until `drain` turns true; then waits for sessions to finish what they are at.
    pub async fn serve(self, listener: TcpListener, mut drain: watch::Receiver<bool>) {
        let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS as usize));
        loop {
            let accepted = tokio::select! {
                biased;
                _told_or_gone = drain.wait_for(|drain| *drain) => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.begin(stream, peer, &permits, &drain),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an SMTP connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let _cut = tokio::time::timeout(DRAIN, permits.acquire_many(MOST_CONNECTIONS)).await;
    }

    fn begin(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        permits: &Arc<Semaphore>,
        drain: &watch::Receiver<bool>,
    ) {
        let Ok(permit) = Arc::clone(permits).try_acquire_owned() else {
            tokio::spawn(turn_away(stream));
            return;
        };
        let connection = Connection {
            context: Arc::clone(&self.context),
            tls: self.tls.clone(),
            drain: drain.clone(),
            _permit: permit,
        };
        tokio::spawn(connection.run(stream, peer));
    }
}

async fn turn_away(mut stream: TcpStream) {
    let mut words = Vec::new();
    reply::TOO_MANY_CONNECTIONS.write(&mut words);
    let _gone = tokio::time::timeout(HANDSHAKE, stream.write_all(&words)).await;
}

struct Connection {
    context: Arc<ServerContext<DatabaseBackend>>,
    tls: Option<TlsAcceptor>,
    drain: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set the socket's options");
        }
        let is_loopback = peer.ip().to_canonical().is_loopback();
        let plain = Peer { is_loopback, is_secure: false };
        let SessionEnd::Tls(stream) = converse(&self.context, stream, plain, true, self.drain.clone()).await
        else {
            return;
        };
        let Some(tls) = &self.tls else { return };
        match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let secure = Peer { is_loopback, is_secure: true };
                converse(&self.context, stream, secure, false, self.drain).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, %peer, "no TLS was agreed upon"),
            Err(_) => tracing::debug!(%peer, "TLS took too long"),
        }
    }
}
