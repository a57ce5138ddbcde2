//! Submission behind the accept loop of `rowhouse-http`: sessions and STARTTLS. Leaves credentials and storage to
//! `database`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::Control;
use rowhouse_http::{Drain, Protocol, Server, Stream};
use rowhouse_kernel::{Origin, Secret, SharedClock, SharedRng};
use tokio_rustls::TlsAcceptor;

use super::database::DatabaseBackend;
use super::memory::MemoryBudget;
use super::session::{Peer, ServerContext, SessionEnd, converse};
use super::tls;
use crate::error::MailError;
use crate::intake::Intake;
use crate::limit::MailLimits;
use crate::settings::MailSettings;

/// Connections at once; further ones wait.
const MOST_CONNECTIONS: usize = 1000;
/// Memory for messages being received on all connections, in bytes.
const MEMORY: usize = 256 * 1024 * 1024;
/// How long the TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long sessions may take to end at shutdown.
const DRAIN: Duration = Duration::from_secs(10);

/// Checks for an origin whether this is a valid service_role key now.
pub type KeyCheck = Arc<dyn Fn(Secret, Origin) -> KeyChecked + Send + Sync>;
/// The result of a [`KeyCheck`].
pub type KeyChecked = Pin<Box<dyn Future<Output = bool> + Send>>;

/// What a submission server needs.
pub struct SubmissionParts {
    /// Accepts the messages.
    pub intake: Intake,
    /// The database with the credentials.
    pub control: Control,
    /// `[mail]`: certificate and limits.
    pub settings: MailSettings,
    /// Failed sign-ins and submissions.
    pub limits: MailLimits,
    /// Name in the greeting.
    pub host: String,
    /// service_role keys are accepted as credentials, too.
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
            limits: parts.limits,
            clock: parts.clock,
            rng: parts.rng,
        };
        Ok(Self { context: Arc::new(context), tls })
    }

    /// Limits for the accept loop: connections, and time for sessions to end at shutdown.
    #[must_use]
    pub fn limits() -> Server {
        Server { max_connections: MOST_CONNECTIONS, header_timeout: HANDSHAKE, drain_timeout: DRAIN }
    }
}

impl Protocol for Submission {
    async fn serve<S: Stream>(self, stream: S, peer: rowhouse_http::Peer, drain: Drain) {
        let address = peer.address.map(|address| address.ip().to_canonical());
        let plain = Peer { address, is_secure: false };
        let SessionEnd::Tls(stream) = converse(&self.context, stream, plain, true, drain.clone()).await
        else {
            return;
        };
        let Some(tls) = &self.tls else { return };
        match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let secure = Peer { address, is_secure: true };
                converse(&self.context, stream, secure, false, drain).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, ?peer, "TLS handshake failed"),
            Err(_) => tracing::debug!(?peer, "TLS handshake timed out"),
        }
    }
}
