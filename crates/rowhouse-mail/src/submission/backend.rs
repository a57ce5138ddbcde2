//! What an SMTP session needs of the rest: checking credentials, and storing messages. Implemented in `database`.

use rowhouse_kernel::{Secret, TenantId};

use super::sasl::Claimed;
use crate::message::RawMail;

/// Who is sending.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    /// The credential's name.
    pub(crate) name: String,
    /// For whom its mails are.
    pub(crate) tenant: Option<TenantId>,
    /// A service_role key, which is checked again with every message.
    pub(crate) key: Option<Secret>,
}

/// Why a message was not taken in.
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
    /// We are: another try may succeed.
    NotNow,
}

/// The database cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unknown;

/// Credentials and storage behind a session.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Who that is; `None` if name and secret do not fit.
    fn check(&self, claimed: Claimed) -> impl Future<Output = Result<Option<Sender>, Unknown>> + Send;

    /// Makes the message durable and returns its id, if the sender's credential is good at this moment.
    fn accept(&self, sender: &Sender, mail: RawMail) -> impl Future<Output = Result<i64, Refused>> + Send;
}
