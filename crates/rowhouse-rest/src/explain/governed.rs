//! What row-level security does with a relation of a statement. Leaves finding it out to the report.

use serde::Serialize;

use super::fact::Policy;

/// How row-level security treats one relation.
#[derive(Debug, Clone, Serialize)]
pub struct Governed {
    /// The relation as SQL text.
    pub relation: String,
    /// Under whose rights it is read.
    pub role: String,
    /// Policies decide about its rows.
    pub row_security: bool,
    /// The role looks past them.
    pub bypassed: bool,
    /// Those that took part; none with row-level security means that no row is seen.
    pub policies: Vec<Policy>,
}
