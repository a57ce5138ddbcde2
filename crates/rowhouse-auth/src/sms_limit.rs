//! Limits of messages to phones, counted before anything is looked up: a number gets the same answer whether it is known or
//! not. Each message costs money, so that all of them together have a limit, too: two of them, so that strangers who ask for
//! messages keep nobody from their second factor. Only what is sent counts there.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rowhouse_crypto::digest_hex;
use rowhouse_http::limit::{
    AddressLimit, Charge, LimitName, Quota, RateKey, RateLimited, RateLimiter, RateReport, Rates, Subject,
};

use crate::request::Client;
use crate::settings::SmsSettings;

const HOUR: Duration = Duration::from_hours(1);
const CLIENTS: LimitName = LimitName::new("messages");
const NUMBERS: LimitName = LimitName::new("messages-to");
const CONFIRMATION: LimitName = LimitName::new("messages-confirmation");
const PHONE_CHANGE: LimitName = LimitName::new("messages-phone-change");
const REAUTHENTICATION: LimitName = LimitName::new("messages-reauthentication");
const FACTOR: LimitName = LimitName::new("messages-factor");
const TOTAL: LimitName = LimitName::new("messages-all");
const TOTAL_OF_USERS: LimitName = LimitName::new("messages-all-of-users");

/// Messages that share a gap, by the name of its counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SmsKind {
    Confirmation,
    PhoneChange,
    Reauthentication,
    Factor,
}

/// Too many messages, or too soon after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("For security purposes, you can only request this after {} seconds.", seconds(*.retry_after))]
pub(crate) struct TooManyMessages {
    pub(crate) retry_after: Duration,
}

impl From<RateLimited> for TooManyMessages {
    fn from(limited: RateLimited) -> Self {
        Self { retry_after: limited.retry_after }
    }
}

/// Whole seconds, rounded up.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The budgets: per client address, per number, and of all together.
#[derive(Debug)]
pub(crate) struct SmsLimit {
    clients: AddressLimit,
    limiter: RateLimiter,
    number: Quota,
    total: Quota,
    /// One message of a kind per gap; `None` without a gap.
    gap: Option<Quota>,
}

impl SmsLimit {
    pub(crate) fn new(settings: &SmsSettings, rates: &Rates) -> Self {
        let limiter = rates.limiter();
        let address = Quota::new(settings.address_rate_per_hour, HOUR);
        let gap = settings.max_frequency;
        Self {
            clients: AddressLimit::new(CLIENTS, address, limiter.clone()),
            limiter,
            number: Quota::new(settings.number_rate_per_hour, HOUR),
            total: Quota::new(settings.total_rate_per_hour, HOUR),
            gap: (!gap.is_zero()).then(|| Quota::new(1, gap)),
        }
    }

    /// Counts one message of a kind that a client asks for.
    pub(crate) async fn check(
        &self,
        kind: SmsKind,
        phone: &str,
        client: &Client,
    ) -> Result<(), TooManyMessages> {
        let address = client.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.clients.check(address, &client.rates).await?;
        self.check_number(kind, phone).await
    }

    /// Counts one message of a kind that goes to a number. The headers of the response would tell how many others have asked
    /// for.
    pub(crate) async fn check_number(&self, kind: SmsKind, phone: &str) -> Result<(), TooManyMessages> {
        let charge = |limit, subject: &str, quota| Charge {
            key: RateKey { limit, subject: Subject::key(subject) },
            quota,
        };
        let number = digest_hex(phone);
        let gap = self.gap.map(|gap| charge(kind.counter(), &number, gap));
        let charges: Vec<Charge> = gap.into_iter().chain([charge(NUMBERS, &number, self.number)]).collect();
        Ok(self.limiter.check(&charges, &RateReport::default()).await?)
    }

    /// Counts one message of a kind that is about to be sent.
    pub(crate) async fn check_total(&self, kind: SmsKind) -> Result<(), TooManyMessages> {
        let key = RateKey { limit: kind.total(), subject: Subject::key("") };
        let charge = Charge { key, quota: self.total };
        Ok(self.limiter.check(&[charge], &RateReport::default()).await?)
    }
}

impl SmsKind {
    fn counter(self) -> LimitName {
        match self {
            Self::Confirmation => CONFIRMATION,
            Self::PhoneChange => PHONE_CHANGE,
            Self::Reauthentication => REAUTHENTICATION,
            Self::Factor => FACTOR,
        }
    }

    /// Who has a password or a session already shares nothing with strangers.
    fn total(self) -> LimitName {
        match self {
            Self::Confirmation | Self::PhoneChange => TOTAL,
            Self::Reauthentication | Self::Factor => TOTAL_OF_USERS,
        }
    }

    /// What GoTrue's messages call it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation",
            Self::PhoneChange => "phone_change",
            Self::Reauthentication => "reauthentication",
            Self::Factor => "mfa",
        }
    }
}
