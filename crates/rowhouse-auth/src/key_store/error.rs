//! Why keys cannot be loaded, changed or used.

use rowhouse_crypto::KeyError;
use rowhouse_db::{DbError, TransactionError};

/// Why the key ring cannot be loaded, changed or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// There is no secret to open the stored keys.
    #[error("auth.key_secret is not set")]
    NoSecret,
    /// A key could not be generated, loaded or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A stored key is malformed.
    #[error("auth.signing_keys: the row {kid} is malformed")]
    Row {
        /// Which key.
        kid: String,
    },
    /// A sealed value that neither secret opens.
    #[error(
        "{column}: the value of {key} opens neither with auth.key_secret nor with auth.key_secret_previous"
    )]
    Sealed {
        /// Schema, table and column.
        column: &'static str,
        /// The row.
        key: String,
    },
    /// The end of the window for another issuer's key is no time.
    #[error("auth.jwt_secret_until: {0}")]
    Until(#[source] time::error::Parse),
    /// A rotation found no standby key.
    #[error("there is no standby key")]
    NoStandby,
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<tokio_postgres::Error> for KeyStoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Db(error.into())
    }
}

impl TransactionError for KeyStoreError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}
