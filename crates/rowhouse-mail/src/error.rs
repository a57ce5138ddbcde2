//! Why a mail was not accepted, by who has to act.

use rowhouse_db::{DbError, TransactionError};

/// Why a mail was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The mail itself is wrong; the text says what, for the caller (400).
    #[error("{0}")]
    Invalid(String),
    /// The mail is larger than `mail.max_message_bytes` (413).
    #[error("the mail has {bytes} bytes as it travels; at most {most} are accepted (mail.max_message_bytes)")]
    TooLarge {
        /// Its size as composed; a lower bound if it was refused before that.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// The caller may not send such a mail (403).
    #[error("{0}")]
    NotAllowed(String),
    /// The SMTP credential that hands it in has been revoked.
    #[error("this credential has been revoked")]
    Revoked,
    /// A template cannot be rendered, or the configuration cannot work: for the operator (500).
    #[error("{0}")]
    Unusable(String),
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl MailError {
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }
}

impl TransactionError for MailError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}
