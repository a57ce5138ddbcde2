//! `[auth_sms]`: sign-in by phone number, and who delivers the messages.

use std::time::Duration;

use rowhouse_jobs::outbound::{is_open_line, key_mistake};
use rowhouse_kernel::settings::{Check, Findings, Given, Settings, WEAK_SECRET};
use rowhouse_kernel::{Secret, settings, words};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{AuthHookSettings, CODE_LENGTHS, DEVELOPMENT_GAP, DEVELOPMENT_RATE, MfaSettings};
use crate::phone::Phone;

words! {
    /// Who delivers messages to phones.
    pub enum SmsProvider {
        /// Nobody: they are kept in `auth.captured_messages`.
        Sink = "sink",
        /// Twilio's Messages API.
        Twilio = "twilio",
        /// A service of the project, which is sent a signed POST.
        Webhook = "webhook",
    }
}

settings! {
    /// Sign-in by phone number, and the messages with codes that it and second factors of the kind `phone` need.
    pub struct SmsSettings in "auth_sms" {
        /// Whether accounts may have phone numbers to sign up and in with.
        pub enabled: bool = false,
        /// Who delivers messages: `twilio`, `webhook`, or `sink`, which keeps the latest hundred in `auth.captured_messages` and is refused in production. The hook `auth_hooks.send_sms` takes its place.
        pub provider: SmsProvider = SmsProvider::Sink,
        /// Confirms numbers without a message. Refused in production.
        pub autoconfirm: bool = false,
        /// Text of a message; `{{ .Code }}` stands for the code.
        pub template: String = "Your code is {{ .Code }}".to_owned(),
        /// How long codes in messages are valid.
        pub otp_expiry: Duration = Duration::from_secs(60),
        /// Digits of these codes, 6 to 10.
        pub otp_length: u16 as "digits" = 6,
        /// Time between two messages of one kind to one number. Zero: none.
        pub max_frequency: Duration = Duration::from_mins(1),
        /// Messages within an hour to one number.
        pub number_rate_per_hour: u32 as "messages in an hour" = 10,
        /// Messages within an hour that one client address (an IPv4 address, 64 bits of IPv6) may ask for.
        pub address_rate_per_hour: u32 as "messages in an hour" = 30,
        /// Messages within an hour altogether: the bound of the bill. Second factors and reauthentication have as many of their own.
        pub total_rate_per_hour: u32 as "messages in an hour" = 300,
        /// How long the provider may take.
        pub timeout: Duration = Duration::from_secs(10),
        /// Numbers with codes of their own, to which nothing is sent: `491701234567=123456,…`.
        pub test_otp: Option<Secret> = None,
        /// Until when those codes are valid, as RFC 3339 has it (`2027-01-31T00:00:00Z`); without end if not set, which production refuses.
        pub test_otp_valid_until: Option<String> = None,
        /// Twilio's account SID.
        pub twilio_account_sid: Option<String> = None,
        /// Twilio's auth token.
        pub twilio_auth_token: Option<Secret> = None,
        /// Who sends: the SID of a messaging service, or a number.
        pub twilio_sender: Option<String> = None,
        /// SID of the content template of WhatsApp messages, whose variable `1` is the code; without it they have `template`.
        pub twilio_content_sid: Option<String> = None,
        /// Where Twilio's API is.
        pub twilio_url: String = "https://api.twilio.com".to_owned(),
        /// Where the webhook's POSTs go.
        pub webhook_url: Option<String> = None,
        /// Key of their signatures: `v1,whsec_` and base64, or text; 24 to 64 bytes.
        pub webhook_secret: Option<Secret> = None,
    }
}

/// What stands for the code in a template, without its braces and spaces.
const CODE: &str = ".Code";
/// Longest text of a message before the code is put in: ten parts of an SMS.
const LONGEST_TEMPLATE: usize = 1_530;

impl SmsSettings {
    /// The text of a message; `None` if the template has no place for the code.
    pub(crate) fn text(&self, code: &str) -> Option<String> {
        let (before, rest) = self.template.split_once("{{")?;
        let (name, after) = rest.split_once("}}")?;
        (name.trim() == CODE).then(|| format!("{before}{code}{after}"))
    }

    /// Numbers with the codes that are set for them.
    fn test_codes(&self) -> Result<Vec<(Phone, &str)>, &'static str> {
        let text = self.test_otp.as_ref().map(Secret::expose).unwrap_or_default();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| read_test_code(entry).ok_or("expected NUMBER=CODE, separated by commas"))
            .collect()
    }

    /// The code that is set for a number, as long as it is valid.
    pub(crate) fn test_code(&self, phone: &str, now: OffsetDateTime) -> Option<String> {
        if self.test_until().ok().flatten().is_some_and(|until| until <= now) {
            return None;
        }
        let codes = self.test_codes().ok()?;
        codes.iter().find(|(number, _)| number.as_str() == phone).map(|(_, code)| (*code).to_owned())
    }

    fn test_until(&self) -> Result<Option<OffsetDateTime>, time::error::Parse> {
        self.test_otp_valid_until.as_deref().map(|text| OffsetDateTime::parse(text, &Rfc3339)).transpose()
    }

    /// The key that the provider needs and does not have.
    fn missing(&self) -> Option<&'static str> {
        let needed: &[(&'static str, bool)] = match self.provider {
            SmsProvider::Sink => &[],
            SmsProvider::Twilio => &[
                ("twilio_account_sid", self.twilio_account_sid.is_some()),
                ("twilio_auth_token", self.twilio_auth_token.is_some()),
                ("twilio_sender", self.twilio_sender.is_some()),
            ],
            SmsProvider::Webhook => &[
                ("webhook_url", self.webhook_url.is_some()),
                ("webhook_secret", self.webhook_secret.is_some()),
            ],
        };
        needed.iter().find(|(_, is_set)| !is_set).map(|(key, _)| *key)
    }
}

fn read_test_code(entry: &str) -> Option<(Phone, &str)> {
    let (number, code) = entry.split_once(['=', ':'])?;
    let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit());
    let phone = Phone::parse(number).ok()?;
    is_code.then_some((phone, code))
}

impl Check for SmsSettings {
    const REFUSED: &'static [(&'static str, &'static str)] = &[
        ("provider", "`sink` while messages are sent: with phone sign-in or `auth.mfa_phone_enabled`"),
        ("autoconfirm", "`true`: numbers would be confirmed without a message"),
        ("test_otp", "set without `test_otp_valid_until`: known codes would sign in for ever"),
        ("webhook_secret", WEAK_SECRET),
        ("webhook_url", "`http:` to another machine; so for `twilio_url`"),
    ];

    fn development(&mut self, given: &Given<'_>) {
        if given.is_default("max_frequency") {
            self.max_frequency = DEVELOPMENT_GAP;
        }
        for (key, rate) in [
            ("number_rate_per_hour", &mut self.number_rate_per_hour),
            ("address_rate_per_hour", &mut self.address_rate_per_hour),
            ("total_rate_per_hour", &mut self.total_rate_per_hour),
        ] {
            if given.is_default(key) {
                *rate = DEVELOPMENT_RATE;
            }
        }
    }

    fn check(&self, findings: &mut Findings<'_>) {
        findings.positive_span("otp_expiry", self.otp_expiry);
        findings.positive_span("timeout", self.timeout);
        findings.span("max_frequency", self.max_frequency);
        if !CODE_LENGTHS.contains(&self.otp_length) {
            findings.refuse("otp_length", "expected 6 to 10; shorter codes can be guessed");
        }
        if self.text("").is_none() || self.template.len() > LONGEST_TEMPLATE {
            findings.refuse("template", "expected {{ .Code }} once, and at most 1530 bytes");
        }
        if let Err(why) = self.test_codes() {
            findings.refuse("test_otp", why);
        }
        if self.test_until().is_err() {
            findings.refuse("test_otp_valid_until", "expected a time such as \"2027-01-31T00:00:00Z\"");
        }
        if let Some(mistake) = self.webhook_secret.as_ref().and_then(key_mistake) {
            findings.refuse("webhook_secret", mistake);
        }
        if let Some(key) = self.missing() {
            findings.refuse(key, "not set; auth_sms.provider needs it");
        }
    }

    fn production(&self, all: &Settings, findings: &mut Findings<'_>) {
        let is_hooked = all.get::<AuthHookSettings>().send_sms.is_some();
        let is_used = self.enabled || all.get::<MfaSettings>().mfa_phone_enabled;
        if is_used && !is_hooked && self.provider == SmsProvider::Sink {
            findings.refuse("provider", "\"sink\" delivers no message; expected \"twilio\" or \"webhook\"");
        }
        if self.enabled && self.autoconfirm {
            findings.refuse("autoconfirm", "numbers would be confirmed without a message");
        }
        if self.enabled && self.test_otp.is_some() && self.test_otp_valid_until.is_none() {
            findings.refuse("test_otp", "known codes without an end; expected test_otp_valid_until, too");
        }
        let urls = [("twilio_url", Some(&self.twilio_url)), ("webhook_url", self.webhook_url.as_ref())];
        for (key, _) in urls.into_iter().filter(|(_, url)| url.is_some_and(|url| is_open_line(url))) {
            findings.refuse(key, "http: to another machine than this: anybody in between could read codes");
        }
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        self.webhook_secret.iter().map(|secret| ("webhook_secret", secret)).collect()
    }
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::Secret;
    use rowhouse_kernel::settings::{GroupSpec, Settings, unsafe_settings};
    use time::{Duration, OffsetDateTime};

    use super::SmsSettings;

    #[test]
    fn template_has_one_place_for_the_code() {
        let text = |template: &str| {
            SmsSettings { template: template.to_owned(), ..SmsSettings::default() }.text("123456")
        };
        assert_eq!(text("Code: {{ .Code }}."), Some("Code: 123456.".to_owned()));
        assert_eq!(text("{{.Code}}"), Some("123456".to_owned()));
        for wrong in ["", "Code", "{{ .Token }}", "{{ .Code"] {
            assert_eq!(text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn production_wants_an_end_of_test_codes() {
        let mut settings = Settings::default();
        settings.update(|sms: &mut SmsSettings| {
            sms.enabled = true;
            sms.test_otp = Some(Secret::new("491701=123456"));
        });
        let is_refused = |settings: &Settings| {
            let refused = unsafe_settings(&[GroupSpec::of::<SmsSettings>()], settings);
            refused.iter().any(|line| line.starts_with("auth_sms.test_otp:"))
        };
        assert!(is_refused(&settings));
        let end = Some("2027-01-31T00:00:00Z".to_owned());
        settings.update(|sms: &mut SmsSettings| sms.test_otp_valid_until = end);
        assert!(!is_refused(&settings));
    }

    #[test]
    fn test_codes_end() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let settings = SmsSettings {
            test_otp: Some(Secret::new("+491701=123456, 491702:654321")),
            test_otp_valid_until: Some("2027-01-15T08:00:01Z".to_owned()),
            ..SmsSettings::default()
        };
        assert_eq!(settings.test_code("491701", now), Some("123456".to_owned()));
        assert_eq!(settings.test_code("491702", now), Some("654321".to_owned()));
        assert_eq!(settings.test_code("491703", now), None);
        assert_eq!(settings.test_code("491701", now + Duration::seconds(1)), None);
        for wrong in ["491701", "491701=", "491701=12a", "x=1"] {
            let settings = SmsSettings { test_otp: Some(Secret::new(wrong)), ..SmsSettings::default() };
            assert!(settings.test_codes().is_err(), "{wrong}");
        }
    }
}
