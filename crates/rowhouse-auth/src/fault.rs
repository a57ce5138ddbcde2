//! Failures common to all flows and not caused by the caller: the database, the crypto library, a malformed row,
//! overload. What a flow refuses is an error of that flow.

use std::time::Duration;

use http::StatusCode;
use rowhouse_crypto::password::HashError;
use rowhouse_crypto::{EnvelopeError, KeyError};
use rowhouse_db::{DbError, TransactionError};
use rowhouse_jobs::outbound;
use rowhouse_mail::MailError;

/// Why a hook's answer is no consent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HookError {
    /// The hook says no, with a status and a message for the client.
    #[error("{message}")]
    Refused { status: StatusCode, message: String },
    #[error("Failed to reach hook within maximum time of {} seconds", .0.as_secs_f64())]
    Timeout(Duration),
    #[error("Failed to reach hook after maximum retries")]
    Unreachable,
    #[error("Payload size exceeded size limit of {} bytes", outbound::MOST_ANSWER)]
    TooLong,
    /// The hook answered something else than its interface has; the text says what.
    #[error("{0}")]
    Broken(String),
}

/// Why a flow failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A token could not be signed.
    #[error("a token could not be signed")]
    Key(#[from] KeyError),
    /// A secret could not be sealed or opened.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// Hashing was aborted or panicked.
    #[error("password hashing ended early")]
    HashTask(#[from] tokio::task::JoinError),
    /// Too many passwords wait to be hashed.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// A hook of the project refuses or fails.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// A row of schema `auth` cannot be read.
    #[error("schema auth holds a malformed row")]
    Json(#[source] serde_json::Error),
    /// A letter could not be written: a template or an address that cannot be used.
    #[error("a letter could not be written")]
    Letter(#[source] MailError),
    /// Letters have no way out: there is neither a mailer nor a hook.
    #[error("mail.transport is none, and auth_hooks.send_email is not set")]
    NoMail,
    /// The database is a restored copy, and the message would go out as the original's.
    #[error(
        "this database is a copy, restored from backup {0}: it sends nothing until `rowhouse backup activate --yes`"
    )]
    Copy(String),
    /// A row that the same transaction has written is missing.
    #[error("the new user's row is missing")]
    Vanished,
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<MailError> for Fault {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Db(error) => Self::Db(error),
            error => Self::Letter(error),
        }
    }
}

impl TransactionError for Fault {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

/// Conversions for `?` and [`rowhouse_db::Control::run_tx`] between database errors and a flow's own error, which has
/// a variant `Fault`.
macro_rules! carry_fault {
    ($($error:ty),+) => {$(
        impl From<rowhouse_db::DbError> for $error {
            fn from(error: rowhouse_db::DbError) -> Self {
                Self::Fault(error.into())
            }
        }

        impl rowhouse_db::TransactionError for $error {
            fn database(&self) -> Option<&rowhouse_db::DbError> {
                match self {
                    Self::Fault(fault) => rowhouse_db::TransactionError::database(fault),
                    _ => None,
                }
            }
        }
    )+};
}
pub(crate) use carry_fault;
