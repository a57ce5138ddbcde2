//! SQL as functions that take a connection or transaction. Nothing is decided here.

pub(crate) mod bulk;
pub(crate) mod impersonation;
pub(crate) mod invite;
pub(crate) mod search;
pub(crate) mod user;

use tokio_postgres::types::{ToSql, Type};

/// A bound value with its type.
pub(crate) type Bound<'a> = (&'a (dyn ToSql + Sync), Type);
