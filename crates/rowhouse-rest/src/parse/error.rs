//! Errors of parsing, before the schema is consulted.

use std::borrow::Cow;

/// Why a request could not be parsed. Leaves codes and messages to [`crate::error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestError {
    /// A query parameter does not follow the grammar.
    Query(QueryError),
    /// Functions take GET, HEAD, POST and OPTIONS only.
    CallMethod(String),
    /// Tables take a fixed set of methods.
    Method(String),
    /// The body is not what its type promises.
    Body(Cow<'static, str>),
    /// QUERY with a body that is not a form.
    QueryType(String),
    /// A range that selects nothing or is upside down.
    Range(RangeProblem),
    /// `limit` or `offset` with PUT.
    PutRange,
    /// A schema that is not served.
    Schema { asked: String, served: Vec<String> },
    /// A path with more parts than `table` or `rpc/function`.
    Path,
}

/// Where and why a query parameter could not be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryError {
    pub(crate) message: String,
    pub(crate) details: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RangeProblem {
    NegativeLimit,
    UpsideDown,
}

impl From<QueryError> for RequestError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}
