//! Media type handlers of the project: functions and aggregates that return a domain named like a media type.

use super::QualifiedName;

/// One handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaHandler {
    /// The function or aggregate.
    pub function: QualifiedName,
    /// Its input.
    pub source: HandlerSource,
    /// The media type, lower case; `*/*` matches any.
    pub media: String,
    /// The result is `bytea`.
    pub is_bytes: bool,
}

/// The input of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandlerSource {
    /// The rows of one table or view.
    Table(QualifiedName),
    /// Any rows.
    AnyRows,
    /// It is a function to be called, whose result is the body.
    Itself,
}
