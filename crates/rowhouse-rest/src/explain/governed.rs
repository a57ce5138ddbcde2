//! How row-level security applies to a relation of a statement. Leaves determining it to the report.

use serde::Serialize;

use super::fact::Policy;

/// How row-level security treats one relation.
#[derive(Debug, Clone, Serialize)]
pub struct Governed {
    /// The relation as SQL text.
    pub relation: String,
    /// The role under whose privileges it is read.
    pub role: String,
    /// Whether row-level security applies to it.
    pub row_security: bool,
    /// Whether the role bypasses row-level security.
    pub bypassed: bool,
    /// The policies that applied; none with row-level security means that no row is visible.
    pub policies: Vec<Policy>,
}
