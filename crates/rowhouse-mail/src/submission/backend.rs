//! The interface of an SMTP session to the database: checking credentials and storing messages. Implemented in `database`.

use rowhouse_kernel::{Origin, Secret, TenantId};

use super::sasl::Claimed;
use crate::message::RawMail;

/// An authenticated sender.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    /// The credential's name.
    pub(crate) name: String,
    /// The tenant of its mails.
    pub(crate) tenant: Option<TenantId>,
    /// A service_role key, which is checked again with every message.
    pub(crate) key: Option<Secret>,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The message is at fault.
    Message(String),
    /// The credential may not send as this sender.
    Sender(String),
    /// The credential has been revoked, or its user has lost the role, since it signed in.
    Credential,
    /// It is larger than accepted.
    TooLarge,
    /// The failure is the server's: a retry may succeed.
    NotNow,
}

/// The database does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unknown;

/// Credentials and storage for a session.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Authenticates; `None` if name and secret do not match.
    fn check(
        &self,
        claimed: Claimed,
        origin: Origin,
    ) -> impl Future<Output = Result<Option<Sender>, Unknown>> + Send;

    /// Makes the message durable and returns its id, if the sender's credential is still valid.
    fn accept(
        &self,
        sender: &Sender,
        mail: RawMail,
        origin: Origin,
    ) -> impl Future<Output = Result<i64, Refused>> + Send;
}
