//! `[operators]`: what people who run the installation need, and how long what they did is kept.

use std::time::Duration;

use rowhouse_kernel::settings::{Check, Findings};
use rowhouse_kernel::{settings, words};

words! {
    /// How an operator has signed in.
    pub enum Assurance {
        /// In any way.
        Aal1 = "aal1",
        /// With a second factor.
        Aal2 = "aal2",
    }
}

settings! {
    /// Tools of the people who run the installation.
    pub struct OperatorSettings in "operators" {
        /// What an operator's session needs before it may act as a user: `aal2`, a second factor, or `aal1`.
        pub impersonation_aal: Assurance = Assurance::Aal2,
        /// What a person's session needs to export a user or a tenant over HTTP: `aal2`, a second factor, or `aal1`.
        pub export_aal: Assurance = Assurance::Aal2,
        /// What an operator's session needs to begin or retry a bulk job, or to read its results: `aal2`, a second factor, or `aal1`.
        pub bulk_aal: Assurance = Assurance::Aal2,
        /// How long it is kept who has acted as whom, after the end of each impersonation; the audit log has its own retention.
        pub impersonation_retention: Duration = Duration::from_secs(365 * 86_400),
        /// How long bulk jobs and their results are kept after their end.
        pub bulk_retention: Duration = Duration::from_secs(30 * 86_400),
    }
}

impl Check for OperatorSettings {
    fn check(&self, findings: &mut Findings<'_>) {
        findings.span("bulk_retention", self.bulk_retention);
        findings.span("impersonation_retention", self.impersonation_retention);
    }
}
