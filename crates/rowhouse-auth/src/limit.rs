//! Rate limits by client address. Counting is left to `rowhouse_http::limit`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rowhouse_http::limit::{
    AddressLimit, Charge, LimitName, Quota, RateKey, RateLimited, RateLimiter, Rates, Subject,
};
use rowhouse_kernel::UserId;

use crate::request::Client;

const WINDOW: Duration = Duration::from_secs(300);
/// Requests that check a password.
pub(crate) const SIGN_IN: LimitName = LimitName::new("signin");
/// Refreshes of tokens.
pub(crate) const REFRESH: LimitName = LimitName::new("refresh");
/// Requests about second factors.
pub(crate) const MFA: LimitName = LimitName::new("mfa");

/// Too many requests from one address, or too many wrong passwords for one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; the next one in {retry_after:?}")]
pub(crate) struct TooManyRequests {
    /// When to retry.
    pub(crate) retry_after: Duration,
}

impl From<RateLimited> for TooManyRequests {
    fn from(limited: RateLimited) -> Self {
        Self { retry_after: limited.retry_after }
    }
}

/// A budget per address, and another per user, refilled evenly over five minutes.
#[derive(Debug)]
pub(crate) struct ClientLimit {
    name: LimitName,
    quota: Quota,
    limiter: RateLimiter,
    addresses: AddressLimit,
}

impl ClientLimit {
    /// Allows `per_5min` requests (at least one) per address and per user.
    pub(crate) fn new(name: LimitName, per_5min: u32, rates: &Rates) -> Self {
        let (quota, limiter) = (Quota::new(per_5min, WINDOW), rates.limiter());
        Self { name, quota, addresses: AddressLimit::new(name, quota, limiter.clone()), limiter }
    }

    /// Counts one request of an address; a client without one is not counted.
    pub(crate) async fn check(&self, client: &Client) -> Result<(), TooManyRequests> {
        let address = client.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(self.addresses.check(address, &client.rates).await?)
    }

    /// Counts one request of a user, from wherever it comes.
    pub(crate) async fn check_user(&self, user: UserId, client: &Client) -> Result<(), TooManyRequests> {
        let key = RateKey { limit: self.name, subject: Subject::User(user.0) };
        Ok(self.limiter.check(&[Charge { key, quota: self.quota }], &client.rates).await?)
    }
}
