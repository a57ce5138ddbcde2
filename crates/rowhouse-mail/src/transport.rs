//! The ways a mail can take, and how each says no. Leaves what follows from that to `reply` and `deliver`.

use std::path::PathBuf;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use rowhouse_kernel::settings::{MailSettings, MailTransport, RelayTls};

use crate::error::MailError;

/// Connections to the relay are closed after this much silence.
const IDLE: Duration = Duration::from_secs(60);
/// A relay that takes longer to answer a connection is away.
const CONNECT: Duration = Duration::from_secs(30);

/// Why a mail did not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The relay answered 4xx or 5xx.
    #[error("{code} {text}")]
    Refused {
        /// The reply's code.
        code: u16,
        /// Its lines, joined.
        text: String,
    },
    /// The relay could not be reached; nothing was said.
    #[error("{0}")]
    Unreachable(String),
    /// The relay takes mails, but none such: it lacks an extension that this one needs. Nothing was said.
    #[error("{0}")]
    Unfit(String),
    /// The conversation broke off; whether the relay has the mail is unknown.
    #[error("{0}")]
    Broken(String),
}

/// A way for mails.
#[derive(Debug)]
pub enum Transport {
    /// Nowhere.
    Capture,
    /// To an SMTP server.
    Relay(Box<Relay>),
    /// Into a folder.
    File(PathBuf),
}

/// An SMTP server.
#[derive(Debug)]
pub struct Relay {
    smtp: AsyncSmtpTransport<Tokio1Executor>,
    timeout: Duration,
}

impl Transport {
    /// The way that is configured.
    ///
    /// # Errors
    /// [`MailError::Unusable`] if no relay is named, or its certificate cannot be read.
    pub fn new(settings: &MailSettings) -> Result<Self, MailError> {
        Ok(match settings.transport {
            MailTransport::Capture => Self::Capture,
            MailTransport::File => Self::File(PathBuf::from(&settings.file_folder)),
            MailTransport::Relay => Self::Relay(Box::new(Relay::new(settings)?)),
        })
    }

    /// Hands a message over and returns what the other side said. `name` is what a file is called.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn deliver(
        &self,
        name: i64,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<String, TransportError> {
        match self {
            Self::Capture => Ok(String::new()),
            Self::File(folder) => write(folder, name, message).await,
            Self::Relay(relay) => relay.deliver(envelope, message).await,
        }
    }
}

impl Relay {
    fn new(settings: &MailSettings) -> Result<Self, MailError> {
        let host = settings.relay_host.as_deref();
        let host = host.ok_or_else(|| MailError::Unusable("mail.relay_host is not set".to_owned()))?;
        let connections = settings.relay_connections.max(1);
        let pool = PoolConfig::new().max_size(connections.into()).idle_timeout(IDLE);
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(settings.relay_port)
            .timeout(Some(settings.relay_timeout.min(CONNECT)))
            .tls(tls(settings, host)?)
            .pool_config(pool);
        if let (Some(user), Some(password)) = (&settings.relay_user, &settings.relay_password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(Self { smtp: builder.build(), timeout: settings.relay_timeout })
    }

    async fn deliver(&self, envelope: &Envelope, message: &[u8]) -> Result<String, TransportError> {
        // The library limits connecting only.
        match tokio::time::timeout(self.timeout, self.smtp.send_raw(envelope, message)).await {
            Ok(Ok(response)) => {
                Ok(format!("{} {}", response.code(), response.message().collect::<Vec<_>>().join(" ")))
            }
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(TransportError::Broken(format!(
                "no answer within {:?} (mail.relay_timeout)",
                self.timeout
            ))),
        }
    }
}

fn tls(settings: &MailSettings, host: &str) -> Result<Tls, MailError> {
    if settings.relay_tls == RelayTls::None {
        return Ok(Tls::None);
    }
    let unusable =
        |error: &dyn std::fmt::Display| MailError::Unusable(format!("mail.relay_ca_file: {error}"));
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = &settings.relay_ca_file {
        let pem = std::fs::read(path).map_err(|error| unusable(&format!("{path}: {error}")))?;
        builder =
            builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| unusable(&error))?);
    }
    let parameters = builder.build_rustls().map_err(|error| unusable(&error))?;
    Ok(match settings.relay_tls {
        RelayTls::Implicit => Tls::Wrapper(parameters),
        _ => Tls::Required(parameters),
    })
}

fn failure(error: &lettre::transport::smtp::Error) -> TransportError {
    use std::error::Error as _;
    if let Some(code) = error.status() {
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        return TransportError::Refused { code: code.into(), text: text.replace(['\r', '\n'], " ") };
    }
    let text = error.to_string();
    // Somebody's address must not look like a relay that is away, which would hold up everybody's mails.
    if error.is_client() && text.contains("non-ascii chars") {
        return TransportError::Unfit(text);
    }
    // The library has no question for "before anything was said"; the text is pinned by a test.
    if text.starts_with("Connection error") || error.is_transport_shutdown() || error.is_client() {
        TransportError::Unreachable(text)
    } else {
        TransportError::Broken(text)
    }
}

/// Whole or not at all: a reader of the folder never sees half a message.
async fn write(folder: &std::path::Path, name: i64, message: &[u8]) -> Result<String, TransportError> {
    let failed =
        |error: std::io::Error| TransportError::Unreachable(format!("{}: {error}", folder.display()));
    tokio::fs::create_dir_all(folder).await.map_err(failed)?;
    let (part, whole) = (folder.join(format!("{name}.part")), folder.join(format!("{name}.eml")));
    tokio::fs::write(&part, message).await.map_err(failed)?;
    tokio::fs::rename(&part, &whole).await.map_err(failed)?;
    Ok(format!("written to {}", whole.display()))
}
