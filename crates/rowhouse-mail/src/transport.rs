//! Transports of mails and their errors. Leaves the consequences to `reply` and `deliver`.

use std::path::PathBuf;

use crate::settings::{MailSettings, MailTransport};

use crate::error::MailError;
use crate::message::{Address, ascii_address};
use crate::relay::Relay;

/// The SMTP envelope of one copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// Empty for mails that must not bounce.
    pub(crate) from: String,
    pub(crate) to: String,
}

impl Envelope {
    /// Domains in their ASCII form (RFC 5891), which every server understands.
    ///
    /// # Errors
    /// Which of the two is not an address.
    pub(crate) fn new(from: &str, to: &str) -> Result<Self, String> {
        let address = |what: &str, text: &str| {
            let parsed: Address =
                text.parse().map_err(|error| format!("the {what} is no address: {error}"))?;
            ascii_address(&parsed).map(|ascii| ascii.to_string()).ok_or(format!("the {what} is no address"))
        };
        let from = if from.is_empty() { String::new() } else { address("sender", from)? };
        Ok(Self { from, to: address("recipient", to)? })
    }
}

/// The stage of a session at which the relay refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Greeting, EHLO, STARTTLS.
    Connect,
    /// AUTH.
    SignIn,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA, before the message.
    Data,
    /// After the message.
    Message,
}

impl Stage {
    /// Its label in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::SignIn => "sign_in",
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Data => "data",
            Self::Message => "message",
        }
    }

    /// True before the first command of a mail transaction.
    pub(crate) fn is_before_mail(self) -> bool {
        matches!(self, Self::Connect | Self::SignIn)
    }
}

/// Why a mail was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransportError {
    /// The relay answered 4xx or 5xx.
    #[error("{code} {text}")]
    Refused {
        /// The stage.
        stage: Stage,
        /// The reply's code.
        code: u16,
        /// Its lines, joined.
        text: String,
    },
    /// The relay could not be reached; nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The relay lacks an extension that this mail needs. Nothing was sent.
    #[error("{0}")]
    Unfit(String),
    /// The connection was lost; whether the relay has accepted the mail is unknown.
    #[error("{0}")]
    Broken(String),
}

/// A transport of mails.
#[derive(Debug)]
pub(crate) enum Transport {
    /// Captured, not sent.
    Capture,
    /// To an SMTP server.
    Relay(Box<Relay>),
    /// Into a folder.
    File(PathBuf),
    /// Not at all.
    None,
}

impl Transport {
    /// The configured transport.
    ///
    /// # Errors
    /// [`MailError::Unusable`] if no relay is named, or its certificate cannot be read.
    pub(crate) fn new(settings: &MailSettings) -> Result<Self, MailError> {
        Ok(match settings.transport {
            MailTransport::Capture => Self::Capture,
            MailTransport::File => Self::File(PathBuf::from(&settings.file_folder)),
            MailTransport::None => Self::None,
            MailTransport::Relay => Self::Relay(Box::new(Relay::new(settings)?)),
        })
    }

    /// Delivers a message and returns the reply. `name` is the name of the file, for the transport `file`.
    ///
    /// # Errors
    /// [`TransportError`].
    pub(crate) async fn deliver(
        &self,
        name: i64,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<String, TransportError> {
        match self {
            Self::Capture => Ok(String::new()),
            Self::File(folder) => write(folder, name, message).await,
            // Accepted under another setting: they wait.
            Self::None => Err(TransportError::Unreachable("mail.transport is none".to_owned())),
            Self::Relay(relay) => relay.deliver(envelope, message).await,
        }
    }
}

/// Writes a temporary file and renames it, so that readers of the folder never see a partial message.
async fn write(folder: &std::path::Path, name: i64, message: &[u8]) -> Result<String, TransportError> {
    let failed =
        |error: std::io::Error| TransportError::Unreachable(format!("{}: {error}", folder.display()));
    tokio::fs::create_dir_all(folder).await.map_err(failed)?;
    let (part, whole) = (folder.join(format!("{name}.part")), folder.join(format!("{name}.eml")));
    tokio::fs::write(&part, message).await.map_err(failed)?;
    tokio::fs::rename(&part, &whole).await.map_err(failed)?;
    Ok(format!("written to {}", whole.display()))
}
