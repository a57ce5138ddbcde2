//! Rate limits by client address. Counting is left to `rowhouse_http::limit`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rowhouse_http::limit::{Quota, RateLimited, RateLimiter};
use rowhouse_kernel::SharedClock;

use crate::request::Client;

const WINDOW: Duration = Duration::from_secs(300);

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

/// A budget per address, refilled evenly over five minutes.
#[derive(Debug)]
pub(crate) struct AddressLimit {
    name: &'static str,
    quota: Quota,
    limiter: RateLimiter,
}

impl AddressLimit {
    /// Allows `per_5min` requests (at least one) per address.
    pub(crate) fn new(name: &'static str, per_5min: u32, clock: SharedClock) -> Self {
        Self { name, quota: Quota::new(per_5min, WINDOW), limiter: RateLimiter::in_memory(clock) }
    }

    /// Counts one request; requests without an address share a budget.
    pub(crate) async fn check(&self, client: &Client) -> Result<(), TooManyRequests> {
        let address = client.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(self.limiter.check_address(self.name, address, self.quota, &client.rates).await?)
    }
}
