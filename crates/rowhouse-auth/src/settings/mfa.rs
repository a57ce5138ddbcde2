//! `[auth]`, second factors.

use std::time::Duration;

use rowhouse_kernel::settings;
use rowhouse_kernel::settings::{Check, Findings, Given};

use crate::factor::FactorType;

settings! {
    /// Second factors.
    pub struct MfaSettings in "auth" {
        /// Whether authenticator apps (TOTP) can be enrolled and used as second factors.
        pub mfa_totp_enabled: bool = true,
        /// Second factors that a user may have, verified or not.
        pub mfa_max_enrolled_factors: u16 as "factors" = 10,
        /// How long a challenge may be answered.
        pub mfa_challenge_expiry: Duration = Duration::from_secs(300),
        /// A factor that was enrolled and not verified within this time is removed by the user's next enrolment.
        pub mfa_factor_expiry: Duration = Duration::from_secs(300),
        /// Challenges and codes within five minutes, per address and per user.
        pub mfa_rate_per_5min: u32 as "requests in 5 minutes" = 75,
    }
}

/// Requests within five minutes that development allows, unless somebody says otherwise.
const DEVELOPMENT_RATE: u32 = 3_000;

impl MfaSettings {
    /// Whether factors of the kind can be enrolled and used.
    pub(crate) fn is_enabled(&self, kind: FactorType) -> bool {
        match kind {
            FactorType::Totp => self.mfa_totp_enabled,
            FactorType::Phone | FactorType::WebAuthn => false,
        }
    }
}

impl Check for MfaSettings {
    fn development(&mut self, given: &Given<'_>) {
        if given.is_default("mfa_rate_per_5min") {
            self.mfa_rate_per_5min = DEVELOPMENT_RATE;
        }
    }

    fn check(&self, findings: &mut Findings<'_>) {
        findings.positive_span("mfa_challenge_expiry", self.mfa_challenge_expiry);
        findings.positive_span("mfa_factor_expiry", self.mfa_factor_expiry);
    }
}
