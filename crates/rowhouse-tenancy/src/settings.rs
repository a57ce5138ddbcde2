//! `[tenancy]`: organizations, tenants and members.

use rowhouse_kernel::settings;
use rowhouse_kernel::settings::{Check, Findings};

settings! {
    /// Organizations, tenants and members.
    pub struct TenancySettings in "tenancy" {
    }
}

impl Check for TenancySettings {
    fn check(&self, _: &mut Findings<'_>) {}
}
