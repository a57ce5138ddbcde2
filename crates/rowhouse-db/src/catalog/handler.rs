//! Makers of media types that the project defines: functions and aggregates that return a domain named like one.

use super::QualifiedName;

/// One maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaHandler {
    /// The function or aggregate.
    pub function: QualifiedName,
    /// What it makes a body of.
    pub source: HandlerSource,
    /// The media type, lower case; `*/*` takes any.
    pub media: String,
    /// The result is `bytea`.
    pub is_bytes: bool,
}

/// What a maker takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandlerSource {
    /// The rows of one table or view.
    Table(QualifiedName),
    /// Any rows.
    AnyRows,
    /// It is a function to be called, whose result is the body.
    Itself,
}
