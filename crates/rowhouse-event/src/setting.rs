//! `[events]`: how long events are kept.

use std::time::Duration;

use rowhouse_kernel::settings::{Check, Findings};

rowhouse_kernel::settings! {
    /// The outbox of events, from which webhooks, realtime and billing read.
    pub struct EventSettings in "events" {
        /// How long events are kept, whether somebody has read them or not.
        pub keep: Duration = Duration::from_secs(7 * 86_400),
    }
}

impl Check for EventSettings {
    fn check(&self, findings: &mut Findings<'_>) {
        findings.positive_span("keep", self.keep);
    }
}
