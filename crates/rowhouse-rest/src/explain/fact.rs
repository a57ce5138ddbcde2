//! Catalog data about the relations of a statement: sizes, columns, indexes, policies.

use serde::{Deserialize, Serialize};

/// Gives [`Facts`] as one JSON text. Parameters: role (`text`); schemas and names that the request names, schemas and
/// names of the plan's relations (each `text[]`).
pub const FACTS: &str = include_str!("fact.sql");

/// All relations involved; one that is read under several roles comes once for each.
pub type Facts = Vec<RelationFacts>;

/// One relation as one role sees it.
#[derive(Debug, Clone, Deserialize)]
pub struct RelationFacts {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Both as SQL text.
    pub quoted: String,
    /// The role under whose privileges it is read; the owner for relations below a view.
    pub role: String,
    /// Rows by the last `analyze`, else an estimate from its size.
    pub rows: f64,
    /// Whether row-level security applies to it.
    pub row_security: bool,
    /// Whether the role bypasses row-level security.
    pub bypassed: bool,
    /// Its columns in order.
    pub columns: Vec<ColumnFacts>,
    /// Its valid indexes.
    pub indexes: Vec<Index>,
    /// The policies that hold for the role, whatever their command.
    pub policies: Vec<Policy>,
}

/// One column.
#[derive(Debug, Clone, Deserialize)]
pub struct ColumnFacts {
    /// Its name.
    pub name: String,
    /// The name as SQL text.
    pub quoted: String,
    /// Its type beneath domains.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether its comparison is leakproof: then it may be evaluated before policies, so an index can be used.
    pub leakproof: bool,
}

/// One index.
#[derive(Debug, Clone, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// `btree`, `gin`…
    pub method: String,
    /// Whether it is partial.
    pub partial: bool,
    /// Key columns in order; an expression is an empty text.
    pub columns: Vec<String>,
}

/// One policy.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// The name as SQL text.
    #[serde(skip_serializing)]
    pub quoted: String,
    /// `all`, `select`, `insert`, `update` or `delete`.
    pub command: String,
    /// Permissive, as opposed to restrictive.
    pub permissive: bool,
    /// Its roles.
    pub roles: Vec<String>,
    /// Which rows are seen.
    pub using: Option<String>,
    /// Which rows may be written.
    pub check: Option<String>,
}

impl RelationFacts {
    /// Whether row-level security applies to the role.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.row_security && !self.bypassed
    }

    pub(super) fn column(&self, name: &str) -> Option<&ColumnFacts> {
        self.columns.iter().find(|column| column.name == name)
    }
}
