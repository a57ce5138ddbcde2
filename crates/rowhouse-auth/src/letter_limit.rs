//! Limits of letters, counted before anything is looked up: an address gets the same answer whether it is known or not.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rowhouse_crypto::digest_hex;
use rowhouse_http::limit::{
    AddressLimit, Charge, LimitName, Quota, RateKey, RateLimited, RateLimiter, RateReport, Rates, Subject,
};

use crate::request::Client;
use crate::settings::AuthSettings;

const HOUR: Duration = Duration::from_hours(1);
const CLIENTS: LimitName = LimitName::new("letters");
const RECIPIENTS: LimitName = LimitName::new("letters-to");
const CONFIRMATION: LimitName = LimitName::new("letters-confirmation");
const RECOVERY: LimitName = LimitName::new("letters-recovery");
const EMAIL_CHANGE: LimitName = LimitName::new("letters-email-change");
const REAUTHENTICATION: LimitName = LimitName::new("letters-reauthentication");

/// Letters that share a gap, by the name of its counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LetterKind {
    Confirmation,
    Recovery,
    EmailChange,
    Reauthentication,
}

/// Too many letters, or too soon after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("For security purposes, you can only request this after {} seconds.", seconds(*.retry_after))]
pub(crate) struct TooManyLetters {
    pub(crate) retry_after: Duration,
}

impl From<RateLimited> for TooManyLetters {
    fn from(limited: RateLimited) -> Self {
        Self { retry_after: limited.retry_after }
    }
}

/// Whole seconds, rounded up.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The budgets: per client address, and per address that letters go to.
#[derive(Debug)]
pub(crate) struct LetterLimit {
    clients: AddressLimit,
    recipients: RateLimiter,
    hourly: Quota,
    /// One letter of a kind per gap; `None` without a gap.
    gap: Option<Quota>,
}

impl LetterLimit {
    pub(crate) fn new(settings: &AuthSettings, rates: &Rates) -> Self {
        let recipients = rates.limiter();
        let hourly = Quota::new(settings.email_rate_per_hour, HOUR);
        let gap = settings.mailer_max_frequency;
        Self {
            clients: AddressLimit::new(CLIENTS, hourly, recipients.clone()),
            recipients,
            hourly,
            gap: (!gap.is_zero()).then(|| Quota::new(1, gap)),
        }
    }

    /// Counts one letter of a kind to `email`.
    pub(crate) async fn check(
        &self,
        kind: LetterKind,
        email: &str,
        client: &Client,
    ) -> Result<(), TooManyLetters> {
        let address = client.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.clients.check(address, &client.rates).await?;
        let subject = Subject::key(&digest_hex(email));
        let charge = |limit, quota| Charge { key: RateKey { limit, subject: subject.clone() }, quota };
        let gap = self.gap.map(|gap| charge(kind.counter(), gap));
        let charges: Vec<Charge> = gap.into_iter().chain([charge(RECIPIENTS, self.hourly)]).collect();
        // The headers would tell how many letters others have asked for.
        Ok(self.recipients.check(&charges, &RateReport::default()).await?)
    }
}

impl LetterKind {
    fn counter(self) -> LimitName {
        match self {
            Self::Confirmation => CONFIRMATION,
            Self::Recovery => RECOVERY,
            Self::EmailChange => EMAIL_CHANGE,
            Self::Reauthentication => REAUTHENTICATION,
        }
    }
}
