//! What tells about rows that cannot be read. Leaves the statements to `sql/oracle/`.

use super::{Check, Severity, checks};

pub(super) const CHECKS: &[Check] = checks! { "oracle":
    "unique_key", Severity::Warning,
        "Unique key over all tenants",
        "A conflict tells that another tenant has the value.",
        "Begin the key with the tenant.";
    "foreign_key", Severity::Warning,
        "Reference to a protected table by a guessable key",
        "Foreign keys look past row-level security: a reference that is accepted tells that the row exists.",
        "Let `tenancy.protect` compare the tenants, or add the tenant to the key.";
};
