//! What makes mistakes likely. Leaves the statements to `sql/hygiene/`.

use super::{Check, Severity, checks};

pub(super) const CHECKS: &[Check] = checks! { "hygiene":
    "no_primary_key", Severity::Warning,
        "Table without a primary key",
        "A row cannot be named, and replication and upserts fail.",
        "Add one.";
    "extension_in_served_schema", Severity::Warning,
        "Extension in a served schema",
        "Its functions and tables are served over HTTP.",
        "Move it to the schema `extensions`.";
    "duplicate_policy", Severity::Warning,
        "Two policies that say the same",
        "Whoever changes one leaves the other.",
        "Drop one.";
};
