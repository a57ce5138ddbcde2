//! `[auth_oauth]`: the authorization server.

use std::time::Duration;

use rowhouse_kernel::settings;
use rowhouse_kernel::settings::{Check, Findings, Given, Settings};

use super::AuthSettings;
use crate::oauth_scope::Scopes;

settings! {
    /// The authorization server (OAuth 2.1, OpenID Connect): other applications sign people in with their accounts here.
    pub struct OauthServerSettings in "auth_oauth" {
        /// Whether applications can be registered and may ask users for authorization.
        pub enabled: bool = false,
        /// Whether anybody may register an application (RFC 7591), as MCP clients do.
        pub allow_dynamic_registration: bool = false,
        /// Path of the consent page below `auth.site_url`, such as `/oauth/consent`; it is opened with `?authorization_id=`.
        pub authorization_path: Option<String> = None,
        /// How long a request for authorization may wait for the user's decision.
        pub authorization_lifetime: Duration = Duration::from_mins(10),
        /// How long a code may wait to be exchanged; at most 10 minutes.
        pub code_lifetime: Duration = Duration::from_secs(60),
        /// Scopes of a request that names none, separated by spaces: `openid`, `profile`, `email`, `phone`, `offline_access`.
        pub default_scope: String = "email".to_owned(),
        /// Registrations by anybody per address within an hour.
        pub registration_rate_per_hour: u32 as "registrations in an hour" = 10,
        /// Applications that anybody has registered, at most; those that nobody uses are removed after 30 days.
        pub max_dynamic_clients: u32 as "applications" = 1_000,
    }
}

/// Registrations within an hour that development allows, unless somebody says otherwise.
const DEVELOPMENT_RATE: u32 = 3_000;
/// The longest that OAuth 2.1 recommends.
const LONGEST_CODE_LIFETIME: Duration = Duration::from_mins(10);

impl Check for OauthServerSettings {
    const REFUSED: &'static [(&'static str, &'static str)] = &[(
        "authorization_path",
        "`auth.site_url` is `http:`: anybody in between could read requests and codes",
    )];

    fn development(&mut self, given: &Given<'_>) {
        if given.is_default("registration_rate_per_hour") {
            self.registration_rate_per_hour = DEVELOPMENT_RATE;
        }
    }

    fn check(&self, findings: &mut Findings<'_>) {
        findings.positive_span("authorization_lifetime", self.authorization_lifetime);
        findings.positive_span("code_lifetime", self.code_lifetime);
        if self.code_lifetime > LONGEST_CODE_LIFETIME {
            findings.refuse("code_lifetime", "expected at most 10 minutes");
        }
        if Scopes::parse(&self.default_scope).is_none() {
            findings
                .refuse("default_scope", "expected some of openid, profile, email, phone, offline_access");
        }
        match &self.authorization_path {
            None if self.enabled => {
                findings
                    .refuse("authorization_path", "not set while auth_oauth.enabled: nobody could consent");
            }
            Some(path) if !is_path(path) => {
                findings.refuse(
                    "authorization_path",
                    format!("{path:?}: expected a path such as /oauth/consent"),
                );
            }
            _ => {}
        }
        if self.allow_dynamic_registration && !self.enabled {
            findings.refuse("allow_dynamic_registration", "has no effect while auth_oauth.enabled is false");
        }
    }

    fn production(&self, all: &Settings, findings: &mut Findings<'_>) {
        let site = &all.get::<AuthSettings>().site_url;
        if self.enabled && site.as_ref().is_some_and(|site| !site.starts_with("https://")) {
            let why = "auth.site_url is not https: anybody in between could read requests and codes";
            findings.refuse("authorization_path", why);
        }
    }
}

fn is_path(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte));
    text.starts_with('/') && !text.starts_with("//") && is_plain
}

#[cfg(test)]
mod tests {
    use super::is_path;

    #[test]
    fn path_leads_nowhere_else() {
        assert!(is_path("/oauth/consent"));
        for wrong in
            ["", "oauth/consent", "//evil.example/", "/a?b", "/a#b", "/a\\b", "https://a.example/", "/a b"]
        {
            assert!(!is_path(wrong), "{wrong}");
        }
    }
}
