//! What the catalog knows about the relations of a statement: sizes, columns, indexes, policies.

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
    /// Under whose rights it is read; a view's owner for what lies beneath the view.
    pub role: String,
    /// Rows as last counted by `analyze`, else a guess from its size.
    pub rows: f64,
    /// Policies decide about its rows.
    pub row_security: bool,
    /// The role looks past them.
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
    /// Its comparison may run before a policy has seen the row, so an index may serve it below one.
    pub leakproof: bool,
}

/// One index.
#[derive(Debug, Clone, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// `btree`, `gin`…
    pub method: String,
    /// It leaves rows out.
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
    /// One permissive policy is enough; a restrictive one must hold too.
    pub permissive: bool,
    /// For whom it is.
    pub roles: Vec<String>,
    /// Which rows are seen.
    pub using: Option<String>,
    /// Which rows may be written.
    pub check: Option<String>,
}

impl RelationFacts {
    /// Policies decide, and the role does not look past them.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.row_security && !self.bypassed
    }

    pub(super) fn column(&self, name: &str) -> Option<&ColumnFacts> {
        self.columns.iter().find(|column| column.name == name)
    }
}
