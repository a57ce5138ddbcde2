//! Database errors, by what a caller can do about them.

use std::error::Error;
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
    /// The server's function that raised it; unlike the message, it is not translated.
    pub routine: Option<String>,
}

/// Bytes of a message in logs: it may repeat what a caller sent.
const MOST_SHOWN: usize = 1000;

impl Error for PgError {}

impl fmt::Display for PgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.message[..self.message.floor_char_boundary(MOST_SHOWN)];
        write!(f, "{shown} ({})", self.code)
    }
}

/// A message and the error that caused it, if any.
#[derive(Debug)]
pub struct Reason {
    text: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Reason {
    /// With its cause.
    pub fn caused_by(text: impl Into<String>, cause: impl Error + Send + Sync + 'static) -> Self {
        Self { text: text.into(), cause: Some(Box::new(cause)) }
    }
}

impl<T: Into<String>> From<T> for Reason {
    fn from(text: T) -> Self {
        Self { text: text.into(), cause: None }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a database operation did not succeed.
#[derive(Debug)]
pub enum DbError {
    /// The server understood and refused; the transaction is rolled back.
    Refused(Box<PgError>),
    /// The server cannot be reached, is starting, stopping or does not answer. Worth retrying later.
    Unavailable(Reason),
    /// The URL is malformed, or a file that it names for TLS cannot be read: an operator's mistake, which no retry mends.
    Unusable(Reason),
    /// Every connection was busy for the whole acquire time-out.
    PoolTimeout(std::time::Duration),
    /// The tenant, or the caller without one, had its whole share of the connections busy for that time.
    ShareTimeout(std::time::Duration),
    /// The server broke the protocol, or a row had another shape than the query promised: a bug.
    Protocol(Reason),
}

/// What is wrong with a pooler, and the remedy.
pub(crate) const SHARES_SESSIONS: &str = "gives each transaction another session (PgBouncer's pool_mode transaction or \
     statement), where prepared statements, LISTEN and locks are lost. Give the server's own address as db.direct_url \
     (DATABASE_DIRECT_URL), or set pool_mode to session for this database";

/// A prepared statement is there that this session has not prepared, or is gone that it has: a pooler has exchanged the
/// session behind the connection.
fn is_of_another_session(code: &str) -> bool {
    matches!(code, "42P05" | "26000")
}

/// The platform's schemas.
const SCHEMAS: [&str; 11] = [
    "rowhouse",
    "audit",
    "events",
    "auth",
    "jobs",
    "tenancy",
    "mail",
    "flags",
    "operators",
    "domains",
    "provisioning",
];

/// Whether a table, a function or a whole schema of the platform is missing.
fn lacks_platform(error: &PgError) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let mut words = error.message.split(|c| !is_part(c));
    match error.code.as_str() {
        "3F000" => words.any(|word| SCHEMAS.contains(&word)),
        "42P01" | "42883" => {
            words.any(|word| word.split_once('.').is_some_and(|(schema, _)| SCHEMAS.contains(&schema)))
        }
        _ => false,
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) if is_of_another_session(&error.code) => {
                write!(f, "{error}: the database's URL leads to a connection pooler that {SHARES_SESSIONS}")
            }
            Self::Refused(error) if lacks_platform(error) => {
                write!(f, "{error}; was the database migrated? If not, run `rowhouse migrate up`")
            }
            Self::Refused(error) => write!(f, "{error}"),
            Self::Unavailable(why) => write!(f, "database unavailable: {why}"),
            Self::Unusable(why) => write!(f, "{why}"),
            Self::PoolTimeout(limit) => write!(f, "no free database connection within {limit:?}"),
            Self::ShareTimeout(limit) => {
                write!(f, "no database connection of the caller's share was free within {limit:?}")
            }
            Self::Protocol(why) => write!(f, "unexpected answer from the database: {why}"),
        }
    }
}

impl Error for DbError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unavailable(why) | Self::Unusable(why) | Self::Protocol(why) => {
                why.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
            }
            Self::Refused(_) | Self::PoolTimeout(_) | Self::ShareTimeout(_) => None,
        }
    }
}

impl DbError {
    /// Unavailability that the server itself has reported.
    fn unavailable(error: PgError) -> Self {
        Self::Unavailable(Reason::caused_by(error.to_string(), error))
    }

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
            return Self::Unavailable(Reason::caused_by(why, error));
        }
        let Some(db) = error.as_db_error() else {
            let source = Error::source(&error);
            let input = source.and_then(|source| source.downcast_ref::<std::io::Error>());
            let is_lost = input.is_some_and(|input| input.kind() != std::io::ErrorKind::InvalidInput);
            let text = source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
            let is_lost = is_lost || error.is_closed();
            let reason = Reason::caused_by(text, error);
            return if is_lost { Self::Unavailable(reason) } else { Self::Protocol(reason) };
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
        // The control plane never asks for a read-only transaction: the server is a standby, or was made read-only.
        if error.code == "25006" { Self::unavailable(error) } else { Self::from(error) }
    }
}

impl From<PgError> for DbError {
    /// Classes 08 (connection), 57P0x (shutdown, starting up), 53300 (too many clients) and 53100 (disk full) mean
    /// that the server is not available.
    fn from(error: PgError) -> Self {
        match error.code.as_str() {
            code if code.starts_with("08")
                || code.starts_with("57P0")
                || matches!(code, "53300" | "53100") =>
            {
                Self::unavailable(error)
            }
            _ => Self::Refused(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests;
