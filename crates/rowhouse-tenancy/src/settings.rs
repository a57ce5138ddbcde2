//! `[tenancy]`: organizations, tenants and members.

use std::time::Duration;

use rowhouse_kernel::settings;
use rowhouse_kernel::settings::{Check, Findings};

settings! {
    /// Organizations, tenants and members.
    pub struct TenancySettings in "tenancy" {
        /// How long entries of `audit.entries` about tenants and members are kept.
        pub audit_retention: Duration = Duration::from_secs(365 * 86_400),
    }
}

impl Check for TenancySettings {
    fn check(&self, findings: &mut Findings<'_>) {
        findings.positive_span("audit_retention", self.audit_retention);
    }
}
