//! What can go wrong between us and PostgreSQL, told apart by what a caller can do about it.

use std::fmt;

/// An error that the server reported, field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PgError {
    /// SQLSTATE, five characters.
    pub code: String,
    /// Primary message.
    pub message: String,
    /// DETAIL.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
    /// Constraint concerned.
    pub constraint: Option<String>,
    /// Column concerned.
    pub column: Option<String>,
    /// The server's function that raised it; unlike the message, the same in every language.
    pub routine: Option<String>,
}

impl fmt::Display for PgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

/// Why a database operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The server understood and refused; the transaction is rolled back.
    #[error("{0}")]
    Refused(Box<PgError>),
    /// The server cannot be reached, is starting, stopping or does not answer. Worth retrying later.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// Every connection was busy for the whole acquire time-out.
    #[error("no free database connection within {0:?}")]
    PoolTimeout(std::time::Duration),
    /// The server broke the protocol, or a row had another shape than the query promised: a bug.
    #[error("unexpected answer from the database: {0}")]
    Protocol(String),
}

impl DbError {
    /// The SQLSTATE, when the server reported one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(error) => Some(&error.code),
            _ => None,
        }
    }

    /// The constraint that was violated, when the server named one.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Refused(error) => error.constraint.as_deref(),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(why) = crate::tls::explain(&error) {
            return Self::Unavailable(why);
        }
        let Some(db) = error.as_db_error() else {
            let source = std::error::Error::source(&error);
            let input = source.and_then(|source| source.downcast_ref::<std::io::Error>());
            let is_lost = input.is_some_and(|input| input.kind() != std::io::ErrorKind::InvalidInput);
            let text = source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
            return if error.is_closed() || is_lost { Self::Unavailable(text) } else { Self::Protocol(text) };
        };
        let error = PgError {
            code: db.code().code().to_owned(),
            message: db.message().to_owned(),
            detail: db.detail().map(str::to_owned),
            hint: db.hint().map(str::to_owned),
            constraint: db.constraint().map(str::to_owned),
            column: db.column().map(str::to_owned),
            routine: db.routine().map(str::to_owned),
        };
        // Nothing here asks for a read-only transaction: the server is a standby, or has been made read-only.
        if error.code == "25006" { Self::Unavailable(error.to_string()) } else { Self::from(error) }
    }
}

impl From<PgError> for DbError {
    /// Classes 08 (connection), 57P0x (shutdown, starting up), 53300 (too many clients) and 53100 (disk full) are the
    /// server's absence.
    fn from(error: PgError) -> Self {
        match error.code.as_str() {
            code if code.starts_with("08")
                || code.starts_with("57P0")
                || matches!(code, "53300" | "53100") =>
            {
                Self::Unavailable(error.to_string())
            }
            _ => Self::Refused(Box::new(error)),
        }
    }
}
