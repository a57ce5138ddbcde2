//! `[auth]`, second factors.

use std::time::Duration;

use rowhouse_kernel::settings;
use rowhouse_kernel::settings::{Check, Findings, Given};

use url::Url;

use crate::factor::FactorType;

settings! {
    /// Second factors and passkeys.
    pub struct MfaSettings in "auth" {
        /// Whether authenticator apps (TOTP) can be enrolled and used as second factors.
        pub mfa_totp_enabled: bool = true,
        /// Whether security keys and platform authenticators (WebAuthn) can be enrolled and used as second factors.
        pub mfa_webauthn_enabled: bool = false,
        /// Whether phone numbers can be enrolled and used as second factors; `[auth_sms]` says who delivers the codes.
        pub mfa_phone_enabled: bool = false,
        /// Second factors that a user may have, verified or not.
        pub mfa_max_enrolled_factors: u16 as "factors" = 10,
        /// How long a challenge to a factor or a passkey may be answered.
        pub mfa_challenge_expiry: Duration = Duration::from_secs(300),
        /// A factor that was enrolled and not verified within this time is removed by the user's next enrolment.
        pub mfa_factor_expiry: Duration = Duration::from_secs(300),
        /// Challenges and codes within five minutes, per address and per user.
        pub mfa_rate_per_5min: u32 as "requests in 5 minutes" = 75,
        /// Whether users can sign in with passkeys.
        pub passkeys_enabled: bool = false,
        /// Passkeys that a user may have.
        pub max_passkeys_per_user: u16 as "passkeys" = 10,
        /// Domain that WebAuthn credentials and passkeys are bound to: the front end's, or a parent of it. With another one, those that exist are lost. Defaults to the host of `site_url`.
        pub webauthn_rp_id: Option<String> = None,
        /// Name that browsers show for it. Defaults to `webauthn_rp_id`.
        pub webauthn_rp_display_name: Option<String> = None,
        /// Origins of pages that may use them, such as `https://app.example.com`. Defaults to that of `site_url`.
        pub webauthn_rp_origins: Vec<String> = Vec::new(),
    }
}

/// Requests within five minutes that development allows, unless somebody says otherwise.
const DEVELOPMENT_RATE: u32 = 3_000;

impl MfaSettings {
    /// Whether factors of the kind can be enrolled and used.
    pub(crate) fn is_enabled(&self, kind: FactorType) -> bool {
        match kind {
            FactorType::Totp => self.mfa_totp_enabled,
            FactorType::WebAuthn => self.mfa_webauthn_enabled,
            FactorType::Phone => self.mfa_phone_enabled,
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
        for origin in self.webauthn_rp_origins.iter().filter(|origin| !is_origin(origin)) {
            let wanted = "expected the origin of a page, such as https://app.example.com, or of an app";
            findings.refuse("webauthn_rp_origins", format!("{origin:?}: {wanted}"));
        }
    }
}

/// Origins of pages as browsers write them; apps have schemes of their own.
fn is_origin(text: &str) -> bool {
    let is_of_page = |url: Url| url.origin().is_tuple() && url.origin().ascii_serialization() == text;
    let is_of_app = ["android:apk-key-hash:", "ios:bundle-id:"].iter().any(|scheme| text.starts_with(scheme));
    is_of_app || Url::parse(text).is_ok_and(is_of_page)
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for good in ["https://app.example.com", "http://localhost:3000", "android:apk-key-hash:x"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in
            ["https://app.example.com/", "app.example.com", "https://APP.example.com", "", "https://x:443"]
        {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
