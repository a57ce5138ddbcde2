//! The rate limiter of every surface, with exact keys: unrelated clients never share a bucket.
//!
//! A limit is a quota for each subject: an address and the networks it lies in, a user, a key, a tenant, a plan.
//! Leaves storage to a [`RateStore`], and the choice of limits to the surfaces.

mod address;
mod header;
mod memory;
mod quota;
mod subject;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rowhouse_kernel::SharedClock;
use time::OffsetDateTime;

pub use address::AddressLimit;
pub use header::RateReport;
pub use memory::MemoryRates;
pub use quota::{Allowance, Quota};
pub use subject::Subject;

/// A counter: a limit and a subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RateKey {
    /// The limit's name, such as `signin`.
    pub limit: &'static str,
    /// The subject.
    pub subject: Subject,
}

/// One count against one quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// What is counted.
    pub key: RateKey,
    /// Its quota.
    pub quota: Quota,
}

/// Why a store could not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rates cannot be counted: {0}")]
pub struct StoreError(pub String);

/// Storage of counters.
pub trait RateStore: Send + Sync {
    /// Counts one request against every charge, or against none if one of them does not allow it. Returns the
    /// allowance of each, in the same order.
    fn take<'s>(
        &'s self,
        charges: &'s [Charge],
        now: OffsetDateTime,
    ) -> BoxFuture<'s, Result<Vec<Allowance>, StoreError>>;

    /// The allowance that one request would get, without counting it.
    fn look<'s>(
        &'s self,
        charges: &'s [Charge],
        now: OffsetDateTime,
    ) -> BoxFuture<'s, Result<Vec<Allowance>, StoreError>>;
}

/// Too many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; the next one in {retry_after:?}")]
pub struct RateLimited {
    /// When the next one is allowed.
    pub retry_after: Duration,
}

/// Counts requests. Cheap to clone.
#[derive(Clone)]
pub struct RateLimiter {
    store: Arc<dyn RateStore>,
    clock: SharedClock,
}

impl std::fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimiter").finish_non_exhaustive()
    }
}

impl RateLimiter {
    /// Uses that store.
    #[must_use]
    pub fn new(store: Arc<dyn RateStore>, clock: SharedClock) -> Self {
        Self { store, clock }
    }

    /// Uses this process's memory.
    #[must_use]
    pub fn in_memory(clock: SharedClock) -> Self {
        Self::new(Arc::new(MemoryRates::default()), clock)
    }

    /// Counts one request against every charge, and writes the response's headers. If the store fails, requests are
    /// allowed: losing a limit is better than losing the service.
    ///
    /// # Errors
    /// If one of the charges does not allow it; then none is counted.
    pub async fn check(&self, charges: &[Charge], report: &RateReport) -> Result<(), RateLimited> {
        judge(charges, self.store.take(charges, self.clock.now()).await, report)
    }

    /// As [`Self::check`], without counting: for what is counted only when it fails.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub async fn look(&self, charges: &[Charge], report: &RateReport) -> Result<(), RateLimited> {
        judge(charges, self.store.look(charges, self.clock.now()).await, report)
    }
}

fn judge(
    charges: &[Charge],
    looked_up: Result<Vec<Allowance>, StoreError>,
    report: &RateReport,
) -> Result<(), RateLimited> {
    let allowances = match looked_up {
        Ok(allowances) => allowances,
        Err(error) => {
            tracing::warn!(%error, "a request passes without being counted");
            return Ok(());
        }
    };
    let tightest = charges.iter().zip(&allowances).min_by_key(|(_, allowance)| allowance.tightness());
    let Some((charge, allowance)) = tightest else { return Ok(()) };
    report.record(charge, *allowance);
    let longest = allowances.iter().filter_map(|allowance| allowance.retry_after).max();
    longest.map_or(Ok(()), |retry_after| Err(RateLimited { retry_after }))
}

#[cfg(test)]
mod tests;
