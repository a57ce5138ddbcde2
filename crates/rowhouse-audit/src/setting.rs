//! `[audit]`: how long entries are kept.

use std::time::Duration;

use rowhouse_kernel::settings::{Check, Findings};

/// Entries younger than this are never removed, whatever the settings say.
pub const SHORTEST_RETENTION: Duration = Duration::from_secs(86_400);

rowhouse_kernel::settings! {
    /// The audit log, `audit.entries`.
    pub struct AuditSettings in "audit" {
        /// How long entries are kept; `rowhouse audit retention` gives an organization a time of its own.
        pub retention: Duration = Duration::from_secs(365 * 86_400),
        /// The shortest time for which an organization may have its entries kept; a day at least.
        pub minimum_retention: Duration = Duration::from_secs(90 * 86_400),
    }
}

impl Check for AuditSettings {
    fn check(&self, findings: &mut Findings<'_>) {
        findings.span("retention", self.retention);
        if self.minimum_retention < SHORTEST_RETENTION {
            findings.refuse("minimum_retention", "must be a day or more");
        }
        if self.retention < self.minimum_retention {
            findings.refuse("retention", "must not be less than audit.minimum_retention");
        }
    }
}
