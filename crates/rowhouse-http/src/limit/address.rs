//! A limit per client address.

use std::net::IpAddr;

use super::{Charge, LimitName, Quota, RateKey, RateLimited, RateLimiter, RateReport, Subject};

/// A named quota per address; for IPv6 also per /56 and /48, with larger budgets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AddressLimit {
    name: LimitName,
    quota: Quota,
    limiter: RateLimiter,
}

impl AddressLimit {
    /// Uses the limiter, with `name` in its keys.
    #[must_use]
    pub fn new(name: LimitName, quota: Quota, limiter: RateLimiter) -> Self {
        Self { name, quota, limiter }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// If the address has used its budget up.
    pub async fn check(&self, address: IpAddr, report: &RateReport) -> Result<(), RateLimited> {
        self.limiter.check(&self.charges(address), report).await
    }

    /// As [`Self::check`], without counting.
    ///
    /// # Errors
    /// If the address has used its budget up.
    pub async fn look(&self, address: IpAddr, report: &RateReport) -> Result<(), RateLimited> {
        self.limiter.look(&self.charges(address), report).await
    }

    /// None for the unspecified address, which stands for an unknown one: unrelated clients would share one budget.
    fn charges(&self, address: IpAddr) -> Vec<Charge> {
        if address.is_unspecified() {
            return Vec::new();
        }
        let charge = |(subject, factor)| Charge {
            key: RateKey { limit: self.name, subject },
            quota: self.quota.times(factor),
        };
        Subject::networks(address).into_iter().map(charge).collect()
    }
}
