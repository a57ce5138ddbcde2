//! `[tenancy]`: organizations, tenants and members.

use std::time::Duration;

use rowhouse_kernel::settings;
use rowhouse_kernel::settings::{Check, Findings};

settings! {
    /// Organizations, tenants and members.
    pub struct TenancySettings in "tenancy" {
        /// How long a deleted organization or tenant can be restored.
        pub restore_window: Duration = Duration::from_secs(30 * 86_400),
        /// Most organizations that one user may own.
        pub organizations_per_user: u32 as "organizations" = 100,
    }
}

impl Check for TenancySettings {
    fn check(&self, findings: &mut Findings<'_>) {
        findings.span("restore_window", self.restore_window);
    }
}
