//! The statements of a flight, in order. Leaves sending them to the connection.

use std::sync::Arc;

use rowhouse_kernel::Caller;

use super::Query;
use super::statement::Key;

/// The statements of a flight in order.
pub(crate) struct Pipeline<'a> {
    /// `None` for the program's own statements, which leave nothing in the session.
    pub(crate) caller: Option<&'a Caller>,
    pub(crate) statements: Vec<Statement<'a>>,
    /// How many of them only open the transaction; their failures are not those of the caller's query.
    pub(crate) opening: usize,
    /// The one whose rows are kept.
    pub(crate) answering: usize,
}

/// A statement of a flight and the role under which it is planned.
pub(crate) struct Statement<'a> {
    pub(crate) role: &'a Arc<str>,
    pub(crate) query: &'a Query,
}

impl Statement<'_> {
    pub(super) fn key(&self) -> Key {
        Key::of(self.role, &self.query.sql)
    }
}
