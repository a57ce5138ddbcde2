//! The data plane: one request, one round trip, one transaction.
//!
//! A flight is Bind/Execute of the context (role, claims, live-session check), Bind/Execute of the query, then
//! one Sync. PostgreSQL treats everything up to Sync as one transaction, so the context is gone after it; an
//! error in the context skips the query. The login role owns nothing and has no rights of its own, so every
//! mistake in ordering fails closed.

mod connection;
mod context;
mod export;
mod import;
mod login;
mod lookup;
mod outgoing;
mod pipeline;
mod places;
mod plane;
mod pool;
mod queue;
mod session;
mod shared_send;
mod statement;
mod stream;

pub use context::{open_query, opening};
pub use export::{Lines, Pieces, Value};
pub use import::Import;
pub(crate) use login::{Greeted, Login, lost, read_error};
pub use lookup::Lookups;
pub use plane::{DataPlane, DataPlaneUrls};
pub(crate) use stream::{Address, Stream};

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use rowhouse_kernel::Caller;

/// The context of a request, transaction-local.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext<'a> {
    /// The caller: decides login, role, claims and the live-session check.
    pub caller: &'a Caller,
    /// The client's address, if known: whose share of the connections a caller without tenant and user has.
    pub address: Option<IpAddr>,
    /// `request.method`.
    pub method: &'a str,
    /// `request.path`.
    pub path: &'a str,
    /// `request.headers`: JSON object text, lower-case names, without cookies.
    pub headers: &'a str,
    /// `request.cookies`: JSON object text.
    pub cookies: &'a str,
    /// Whether the transaction may write.
    pub access: Access,
    /// `search_path`: the served schema, then those whose names project functions use unqualified.
    pub search_path: &'a str,
    /// `TimeZone`, when it is not the server's.
    pub time_zone: Option<&'a str>,
    /// A statement to run between context and query, as the caller.
    pub before: Option<&'a Query>,
    /// Isolation of the transaction, when it is not the login's default.
    pub isolation: Option<Isolation>,
    /// Whether the transaction is committed.
    pub end: End,
}

/// Isolation levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Each statement has its own snapshot.
    ReadCommitted,
    /// All statements share the first one's snapshot.
    RepeatableRead,
    /// Serializable; may fail with 40001.
    Serializable,
}

impl Isolation {
    /// Parses PostgreSQL's names; `read uncommitted` is `read committed` there.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "read committed" | "read uncommitted" => Some(Self::ReadCommitted),
            "repeatable read" => Some(Self::RepeatableRead),
            "serializable" => Some(Self::Serializable),
            _ => None,
        }
    }
}

/// How a flight ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum End {
    /// At Sync.
    #[default]
    Commit,
    /// Rolled back after deferred constraints have been checked, so that what could not be committed fails.
    Rollback,
}

/// Whether a transaction may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `transaction_read_only` is on; a write fails with 25006.
    ReadOnly,
    /// Reads and writes.
    ReadWrite,
}

/// One statement with its parameters, bound as text; PostgreSQL infers the types.
#[derive(Debug, Clone)]
pub struct Query {
    /// SQL with `$1`…; prepared once per connection and role, so it must not contain values.
    pub sql: Arc<str>,
    /// Values in order; `None` is NULL.
    pub params: Vec<Option<Bytes>>,
}

/// One row: the columns' text form, `None` for NULL. The bytes are as PostgreSQL sent them.
pub type Row = Vec<Option<Bytes>>;
