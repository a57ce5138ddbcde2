//! `[auth_hooks]`: what the project decides itself.

use std::time::Duration;

use rowhouse_jobs::outbound::{is_open_line, key_mistake};
use rowhouse_kernel::settings::{Check, Findings, Settings, WEAK_SECRET};
use rowhouse_kernel::{Secret, settings};
use rowhouse_mail::{MailSettings, MailTransport};

settings! {
    /// Hooks of identity. Each is `pg-functions://postgres/SCHEMA/FUNCTION`, a function from jsonb to jsonb, or an `https://` URL that is sent a signed POST.
    pub struct AuthHookSettings in "auth_hooks" {
        /// Changes the claims of access tokens: `{user_id, claims, authentication_method}` → `{claims}`.
        pub custom_access_token: Option<String> = None,
        /// May refuse new users: `{user, metadata}` → `{}` or `{error}`.
        pub before_user_created: Option<String> = None,
        /// May refuse a sign-in by password, right or wrong: `{user_id, valid}` → `{decision, message, should_logout_user}`.
        pub password_verification_attempt: Option<String> = None,
        /// May refuse a second factor, right or wrong: `{user_id, factor_id, factor_type, valid}` → `{decision, message}`.
        pub mfa_verification_attempt: Option<String> = None,
        /// Sends letters instead of the mailer: `{user, email_data}` → `{}`. Called by a job after the commit.
        pub send_email: Option<String> = None,
        /// Is told of new users: `{user}` → `{}`. Called by a job after the commit.
        pub after_user_created: Option<String> = None,
        /// Delivers messages to phones in place of `auth_sms.provider`: `{user, sms: {otp, phone, sms_type}}` → `{}`.
        pub send_sms: Option<String> = None,
        /// Key of the signatures of HTTP hooks: `v1,whsec_` and base64, or text; 24 to 64 bytes.
        pub secret: Option<Secret> = None,
        /// Whether HTTP hooks may be on this machine or in a private network.
        pub allow_private_urls: bool = true,
        /// How long a function may take.
        pub function_timeout: Duration = Duration::from_secs(2),
        /// How long an HTTP hook may take, repetitions included.
        pub http_timeout: Duration = Duration::from_secs(5),
    }
}

/// Scheme of functions; GoTrue's.
const FUNCTION: &str = "pg-functions://postgres/";

/// Where a hook leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookTarget {
    /// A function with its schema, quoted.
    Function(String),
    /// A service.
    Url(String),
}

impl HookTarget {
    /// Whether it is a URL with plain HTTP to another machine.
    #[must_use]
    pub fn is_open_line(&self) -> bool {
        matches!(self, Self::Url(url) if is_open_line(url))
    }

    /// Reads a setting.
    ///
    /// # Errors
    /// What is expected.
    pub fn read(uri: &str) -> Result<Self, &'static str> {
        if uri.starts_with("https://") || uri.starts_with("http://") {
            return Ok(Self::Url(uri.to_owned()));
        }
        let path = uri.strip_prefix(FUNCTION).and_then(|path| path.split_once('/'));
        match path.filter(|(schema, name)| is_name(schema) && is_name(name)) {
            Some((schema, name)) => Ok(Self::Function(format!("\"{schema}\".\"{name}\""))),
            None => Err("expected pg-functions://postgres/SCHEMA/FUNCTION or an http(s) URL"),
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80)
}

impl AuthHookSettings {
    /// The longest that a hook may take.
    pub(crate) fn longest_call(&self) -> Duration {
        self.function_timeout.max(self.http_timeout)
    }

    /// Every hook with its setting.
    pub(crate) fn all(&self) -> [(&'static str, Option<&str>); 7] {
        [
            ("custom_access_token", self.custom_access_token.as_deref()),
            ("before_user_created", self.before_user_created.as_deref()),
            ("password_verification_attempt", self.password_verification_attempt.as_deref()),
            ("mfa_verification_attempt", self.mfa_verification_attempt.as_deref()),
            ("send_email", self.send_email.as_deref()),
            ("after_user_created", self.after_user_created.as_deref()),
            ("send_sms", self.send_sms.as_deref()),
        ]
    }
}

impl Check for AuthHookSettings {
    const REFUSED: &'static [(&'static str, &'static str)] = &[
        ("secret", "not set while a hook is a URL: the receiver knows by it that a request is from here"),
        ("secret", WEAK_SECRET),
        ("custom_access_token", "`http:` to another machine; so for each hook"),
        ("send_email", "not set while `mail.transport` is `none`: no letter would leave"),
    ];

    fn check(&self, findings: &mut Findings<'_>) {
        findings.positive_span("function_timeout", self.function_timeout);
        findings.positive_span("http_timeout", self.http_timeout);
        if let Some(mistake) = self.secret.as_ref().and_then(key_mistake) {
            findings.refuse("secret", mistake);
        }
        for (name, uri) in self.all() {
            match uri.map(HookTarget::read) {
                Some(Err(why)) => findings.refuse(name, why),
                Some(Ok(HookTarget::Url(_))) if self.secret.is_none() => {
                    findings.refuse(
                        name,
                        "auth_hooks.secret is not set; the receiver knows by it that a request is from here",
                    );
                }
                _ => {}
            }
        }
    }

    fn production(&self, all: &Settings, findings: &mut Findings<'_>) {
        if self.send_email.is_none() && all.get::<MailSettings>().transport == MailTransport::None {
            findings.refuse("send_email", "not set while mail.transport is none: no letter would leave");
        }
        for (name, uri) in self.all() {
            if uri.is_some_and(is_open_line) {
                findings.refuse(name, "http: to another machine than this: anybody in between could answer");
            }
        }
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        self.secret.iter().map(|secret| ("secret", secret)).collect()
    }
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::settings::{GroupSpec, Settings, unsafe_settings};
    use rowhouse_mail::{MailSettings, MailTransport};

    use super::{AuthHookSettings, HookTarget};

    #[test]
    fn production_needs_the_hook_where_no_mails_are_sent() {
        let mut settings = Settings::default();
        let found = |settings: &Settings| unsafe_settings(&[GroupSpec::of::<AuthHookSettings>()], settings);
        settings.update(|mail: &mut MailSettings| mail.transport = MailTransport::None);
        let refused = found(&settings);
        assert!(refused.len() == 1 && refused[0].starts_with("auth_hooks.send_email"), "{refused:?}");
        let uri = Some("pg-functions://postgres/public/send".to_owned());
        settings.update(|hooks: &mut AuthHookSettings| hooks.send_email = uri);
        assert_eq!(found(&settings), Vec::<String>::new());
        let none = unsafe_settings(&[GroupSpec::of::<MailSettings>()], &settings);
        assert_eq!(none, Vec::<String>::new());
    }

    #[test]
    fn targets_are_functions_and_urls() {
        let read = |uri: &str| HookTarget::read(uri).ok();
        let function = HookTarget::Function("\"public\".\"my_hook\"".to_owned());
        assert_eq!(read("pg-functions://postgres/public/my_hook"), Some(function));
        assert!(read("https://hooks.example/a").is_some());
        for wrong in [
            "",
            "public.my_hook",
            "pg-functions://postgres/my_hook",
            "pg-functions://postgres/public/a\"b",
            "pg-functions://postgres/public/a/b",
            "ftp://hooks.example",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
