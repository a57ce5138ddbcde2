//! Failures common to all flows and not caused by the caller: the database, the crypto library, a malformed row,
//! overload. What a flow refuses is an error of that flow.

use rowhouse_crypto::KeyError;
use rowhouse_crypto::password::HashError;
use rowhouse_db::{DbError, TransactionError};

use crate::hook::HookError;

/// Why a flow failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A token could not be signed.
    #[error("a token could not be signed")]
    Key(#[from] KeyError),
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
    /// A row that the same transaction has written is missing.
    #[error("the new user's row is missing")]
    Vanished,
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Db(error.into())
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
