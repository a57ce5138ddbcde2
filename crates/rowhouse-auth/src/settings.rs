//! `[auth]`: identity.

pub(crate) mod external;
mod hook;
mod mfa;
mod notification;
mod oauth_server;
mod sms;

use std::time::Duration;

use rowhouse_crypto::{KeyError, TrustedKeys};
use rowhouse_http::ForeignTokens;
use rowhouse_kernel::settings::{Check, Findings, Given, Named, Settings, WEAK_SECRET};
use rowhouse_kernel::{Secret, settings, words};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use external::ProviderSettings;
pub use hook::{AuthHookSettings, HookTarget};
pub use mfa::MfaSettings;
pub use notification::NotificationSettings;
pub use oauth_server::OauthServerSettings;
pub use sms::{SmsProvider, SmsSettings};

words! {
    /// What tokens are signed with (RFC 7518, RFC 8037).
    pub enum SigningAlgorithm {
        /// ECDSA on P-256: short signatures, understood everywhere.
        Es256 = "ES256",
        /// RSA with 2048 bits: for clients that know nothing newer.
        Rs256 = "RS256",
        /// Ed25519: the fastest to sign.
        EdDsa = "EdDSA",
    }
}

words! {
    /// Services of captchas.
    pub enum CaptchaProvider {
        /// Cloudflare Turnstile.
        Turnstile = "turnstile",
        /// hCaptcha.
        Hcaptcha = "hcaptcha",
    }
}

settings! {
    /// Identity: sign-up, passwords, sessions and tokens.
    pub struct AuthSettings in "auth" {
        /// Encrypts signing keys at rest; at least 32 characters. Generated under `up`.
        pub key_secret: Option<Secret> = None,
        /// A second secret, whose encrypted values open as well: the former one while `key_secret` is changed. `docs/auth/keys.md` has the order.
        pub key_secret_previous: Option<Secret> = None,
        /// Key of another issuer whose tokens are accepted: the HS256 secret of a Supabase or PostgREST project as text, a JWK, or a JWK set with public or shared keys. Nothing new is signed with it.
        pub jwt_secret: Option<Secret> = None,
        /// Whether `jwt_secret` is base64 of the real one.
        pub jwt_secret_is_base64: bool = false,
        /// Until when `jwt_secret` is accepted, as RFC 3339 has it (`2027-01-31T00:00:00Z`); without end if not set.
        pub jwt_secret_until: Option<String> = None,
        /// Audience that tokens of another issuer must name, if they name any.
        pub jwt_aud: Option<String> = None,
        /// Where tokens of another issuer name their database role: JSONPath (RFC 9535), or PostgREST's former syntax `.a.b[0]`.
        pub jwt_role_claim_key: String = "$.role".to_owned(),
        /// Whether public keys in `jwt_secret` may give the roles `service_role` and `supabase_admin`, as a shared secret may. Only for an issuer whose users cannot choose the claim `role`.
        pub jwt_grants_service_role: bool = false,
        /// What new signing keys are for; keys that exist keep theirs, so a change shows after two rotations.
        pub signing_algorithm: SigningAlgorithm = SigningAlgorithm::Es256,
        /// Lifetime of access tokens.
        pub access_token_lifetime: Duration = Duration::from_secs(3600),
        /// Whether user, session, membership and tenant are looked up on every request of a signed-in caller. `false` trusts a token for its lifetime.
        pub live_sessions: bool = true,
        /// Within this time after its rotation, a refresh token may be presented again without ending the session.
        pub refresh_reuse_interval: Duration = Duration::from_secs(10),
        /// Sessions that a user may have at once; a further sign-in ends the one that was not used for the longest time.
        pub max_sessions_per_user: u32 as "sessions" = 100,
        /// A session that was not used for so long ends: neither signed in nor refreshed. At least `access_token_lifetime`.
        pub session_idle_limit: Duration = Duration::from_secs(90 * 86_400),
        /// A session ends so long after its sign-in, at the next refresh; unlimited if not set.
        pub session_timebox: Option<Duration> = None,
        /// A session that was not refreshed for so long ends, at the next refresh; `session_idle_limit` holds besides.
        pub session_inactivity: Option<Duration> = None,
        /// A session without the second factor that its user has ends so long after its sign-in; unlimited if not set.
        pub session_aal_limit: Option<Duration> = None,
        /// Whether a sign-in ends the user's other sessions.
        pub single_session_per_user: bool = false,
        /// The front end's URL: where links in mails lead unless the request names another target. Defaults to `server.public_url`.
        pub site_url: Option<String> = None,
        /// Further targets that links and sign-ins may redirect to: URLs, in which `*` stands for characters other than `.` and `/`, `**` for any, and `?` for one. Wildcards stay within host or path.
        pub redirect_urls: Vec<String> = Vec::new(),
        /// Providers of external sign-in by name, each a table of its own: `[auth.external.NAME]`; `docs/auth/providers.md` lists their keys.
        pub external: Named<ProviderSettings> = Named::default(),
        /// Whether users may link further identities to their account, and unlink them.
        pub manual_linking: bool = false,
        /// Refuses new accounts.
        pub disable_signup: bool = false,
        /// Whether somebody may sign up without address and number.
        pub anonymous_users: bool = false,
        /// Such sign-ups per address within an hour.
        pub anonymous_rate_per_hour: u32 as "sign-ups in an hour" = 30,
        /// Confirms addresses without a mail. Refused in production.
        pub mailer_autoconfirm: bool = false,
        /// How long links and codes in mails are valid.
        pub mailer_otp_expiry: Duration = Duration::from_secs(86_400),
        /// Digits of the codes in mails, 6 to 10.
        pub mailer_otp_length: u16 as "digits" = 6,
        /// Wrong codes after which the code of a mail is void; its link stays valid.
        pub otp_attempts: u16 as "codes" = 10,
        /// Time between two mails of one kind to one address. Zero: none.
        pub mailer_max_frequency: Duration = Duration::from_mins(1),
        /// Mails that may be asked for within an hour, for each address that they go to and for each client address.
        pub email_rate_per_hour: u32 as "mails in an hour" = 30,
        /// Whether a link shows a page with a button, and only the button uses it up: scanners of mail gateways open links. `false`: opening the link uses it up, as with GoTrue.
        pub verify_page: bool = true,
        /// Whether a changed address has to be confirmed from the former one, too.
        pub secure_email_change: bool = true,
        /// Whether a new password or number needs a code by mail if the session is older than 24 hours.
        pub secure_password_change: bool = false,
        /// Shortest password accepted.
        pub password_min_length: u16 as "characters" = 6,
        /// Classes of characters, each written as all its characters; a password needs one of each.
        pub password_required_characters: Vec<String> = Vec::new(),
        /// File of SHA-1 digests of breached passwords, which are refused: upper-case hex, sorted, one a line.
        pub password_breached_file: Option<String> = None,
        /// Service with the range API of Have I Been Pwned, for example `https://api.pwnedpasswords.com`; it is sent five of forty digits of a password's SHA-1.
        pub password_breached_url: Option<String> = None,
        /// Whether no password is accepted while file or service cannot be asked; else it is accepted with a warning in the log.
        pub password_breached_required: bool = false,
        /// Service whose captcha sign-ups, sign-ins by password and requests for mails must have solved; with `captcha_secret`.
        pub captcha_provider: Option<CaptchaProvider> = None,
        /// The secret key that the service gave for this site.
        pub captcha_secret: Option<Secret> = None,
        /// Where the service verifies tokens, if not at its usual address.
        pub captcha_url: Option<String> = None,
        /// Domains whose addresses may sign up and be changed to; empty for all.
        pub allowed_email_domains: Vec<String> = Vec::new(),
        /// Sign-up and password requests per address within five minutes.
        pub signin_rate_per_5min: u32 as "requests in 5 minutes" = 30,
        /// Token refreshes per address within five minutes.
        pub token_rate_per_5min: u32 as "requests in 5 minutes" = 150,
        /// Failed sign-ins in a row for one account from one network (an IPv4 address, 64 bits of IPv6) before further ones from there are refused for `lockout_duration`.
        pub lockout_failures: u32 as "sign-ins" = 10,
        /// The same from all networks together; then only networks from which the user has signed in before are not refused.
        pub lockout_account_failures: u32 as "sign-ins" = 50,
        /// How long sign-ins are refused after too many failures; twice as long each further time, up to an hour.
        pub lockout_duration: Duration = Duration::from_secs(60),
        /// Password hashes computed at once; each takes 19 MiB for some 50 ms.
        pub hash_concurrency: u16 as "hashes" = 2,
        /// Requests that may wait for a password hash; further ones are answered 503.
        pub hash_queue: u16 as "requests" = 128,
        /// Largest request body in bytes.
        pub max_body_bytes: u64 as "bytes" = 1_048_576,
    }
}

/// Requests within five minutes, and mails within an hour, that development allows one address, unless somebody says
/// otherwise.
const DEVELOPMENT_RATE: u32 = 3_000;
/// Time between two mails in development.
const DEVELOPMENT_GAP: Duration = Duration::from_secs(1);
/// Lengths of codes that people can be expected to type in.
const CODE_LENGTHS: std::ops::RangeInclusive<u16> = 6..=10;

impl AuthSettings {
    /// The keys of another issuer, if there is one.
    pub(crate) fn trusted_keys(&self) -> Option<Result<TrustedKeys, KeyError>> {
        self.jwt_secret.as_ref().map(|secret| TrustedKeys::read(secret, self.jwt_secret_is_base64))
    }

    /// When `jwt_secret` is accepted no more.
    pub(crate) fn trusted_until(&self) -> Result<Option<OffsetDateTime>, time::error::Parse> {
        self.jwt_secret_until.as_deref().map(|text| OffsetDateTime::parse(text, &Rfc3339)).transpose()
    }
}

impl Check for AuthSettings {
    const REFUSED: &'static [(&'static str, &'static str)] = &[
        ("key_secret", "not set"),
        ("key_secret", WEAK_SECRET),
        ("jwt_secret", WEAK_SECRET),
        ("captcha_secret", WEAK_SECRET),
        ("mailer_autoconfirm", "`true`: addresses would be confirmed without a mail"),
    ];

    fn development(&mut self, given: &Given<'_>) {
        if given.is_default("mailer_autoconfirm") {
            self.mailer_autoconfirm = true;
        }
        if given.is_default("signin_rate_per_5min") {
            self.signin_rate_per_5min = DEVELOPMENT_RATE;
        }
        if given.is_default("token_rate_per_5min") {
            self.token_rate_per_5min = DEVELOPMENT_RATE;
        }
        if given.is_default("email_rate_per_hour") {
            self.email_rate_per_hour = DEVELOPMENT_RATE;
        }
        if given.is_default("anonymous_rate_per_hour") {
            self.anonymous_rate_per_hour = DEVELOPMENT_RATE;
        }
        if given.is_default("mailer_max_frequency") {
            self.mailer_max_frequency = DEVELOPMENT_GAP;
        }
        if given.is_default("verify_page") {
            self.verify_page = false;
        }
    }

    fn check(&self, findings: &mut Findings<'_>) {
        self.external.report("external", findings);
        findings.positive_span("access_token_lifetime", self.access_token_lifetime);
        findings.span("refresh_reuse_interval", self.refresh_reuse_interval);
        findings.span("lockout_duration", self.lockout_duration);
        if self.trusted_until().is_err() {
            findings.refuse("jwt_secret_until", "expected a time such as \"2027-01-31T00:00:00Z\"");
        }
        if let Some(Err(error)) = self.trusted_keys() {
            findings.refuse("jwt_secret", error);
        }
        if let Err(why) = ForeignTokens::new(self.jwt_aud.as_deref(), &self.jwt_role_claim_key) {
            findings.refuse("jwt_role_claim_key", why);
        }
        findings.positive_span("mailer_otp_expiry", self.mailer_otp_expiry);
        findings.span("mailer_max_frequency", self.mailer_max_frequency);
        if !CODE_LENGTHS.contains(&self.mailer_otp_length) {
            findings.refuse("mailer_otp_length", "expected 6 to 10; shorter codes can be guessed");
        }
        if self.session_idle_limit < self.access_token_lifetime {
            findings.refuse("session_idle_limit", "expected at least auth.access_token_lifetime");
        }
        if self.password_required_characters.iter().any(String::is_empty) {
            findings.refuse("password_required_characters", "an empty class: no password could meet it");
        }
        if let Some(file) = &self.password_breached_file
            && let Err(error) = std::fs::File::open(file)
        {
            findings.refuse("password_breached_file", format!("cannot be read: {error}"));
        }
        if self.captcha_provider.is_some() != self.captcha_secret.is_some() {
            findings.refuse("captcha_secret", "expected together with auth.captcha_provider");
        }
        if self.max_sessions_per_user == 0 {
            findings.refuse("max_sessions_per_user", "expected at least 1; nobody could sign in");
        }
        if self.site_url.as_deref().is_some_and(is_relative) {
            findings.refuse("site_url", "expected an absolute URL such as \"https://app.example\"");
        }
        if self.redirect_urls.iter().any(|pattern| is_relative(pattern)) {
            findings.refuse("redirect_urls", "expected absolute URLs such as \"https://app.example/**\"");
        }
    }

    fn production(&self, _all: &Settings, findings: &mut Findings<'_>) {
        if self.key_secret.is_none() {
            findings.refuse("key_secret", "not set");
        }
        if self.mailer_autoconfirm {
            findings.refuse("mailer_autoconfirm", "addresses would be confirmed without a mail");
        }
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        let secrets = [
            ("key_secret", &self.key_secret),
            ("jwt_secret", &self.jwt_secret),
            ("captcha_secret", &self.captcha_secret),
        ];
        secrets.into_iter().filter_map(|(key, secret)| Some((key, secret.as_ref()?))).collect()
    }
}

/// In a redirect it would be taken for a path of this server, and carry tokens there.
fn is_relative(url: &str) -> bool {
    url.split_once("://").is_none_or(|(scheme, rest)| scheme.is_empty() || rest.is_empty())
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::settings::{GroupSpec, Settings, Sources};

    use super::AuthSettings;

    #[test]
    fn targets_of_redirects_are_absolute() {
        let load = |toml: &str| {
            Settings::load(&[GroupSpec::of::<AuthSettings>()], &mut Sources::new(toml, []))
                .map_err(|errors| errors.join("\n"))
        };
        for (key, value) in [("site_url", "\"app.example\""), ("redirect_urls", "[\"nonsense\"]")] {
            let error = load(&format!("[auth]\n{key} = {value}")).err().unwrap();
            assert!(error.contains(&format!("auth.{key}: expected")), "{error}");
        }
        let mobile = "[auth]\nsite_url = \"https://app.example\"\nredirect_urls = [\"shop://**\", \"http://localhost:*\"]";
        assert!(load(mobile).is_ok());
    }
}
