//! The rate limiter of every surface, with exact keys: unrelated clients never share a bucket.
//!
//! A limit is a quota for each subject: an address and the networks it lies in, a user, a key, a tenant, a plan.
//! Counts in this process's memory, and first in a [`RateStore`] that processes share, if there is one. Leaves the choice
//! of limits to the surfaces.

mod address;
mod header;
mod memory;
mod name;
mod quota;
mod subject;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rowhouse_kernel::SharedClock;

pub use address::AddressLimit;
pub use header::RateReport;
pub use name::LimitName;
pub use quota::{Allowance, Quota};
pub use subject::Subject;

use memory::MemoryRates;

/// A counter: a limit and a subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RateKey {
    /// The limit.
    pub limit: LimitName,
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

/// Counters that several processes share, by the store's own clock, since those of the processes differ. Answers soon,
/// whatever happens, and reports by itself that it cannot count: each process then counts for itself.
pub trait RateStore: Send + Sync {
    /// Counts one request against every charge, or against none if one of them does not allow it. Returns the
    /// allowance of each, in the same order.
    fn take<'s>(&'s self, charges: &'s [Charge]) -> BoxFuture<'s, Result<Vec<Allowance>, StoreError>>;

    /// The allowance that one request would get, without counting it.
    fn look<'s>(&'s self, charges: &'s [Charge]) -> BoxFuture<'s, Result<Vec<Allowance>, StoreError>>;
}

/// Where the limiters of a process count. Cheap to clone.
#[derive(Clone)]
pub struct Rates {
    shared: Option<Arc<dyn RateStore>>,
    clock: SharedClock,
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates").field("shared", &self.shared.is_some()).finish_non_exhaustive()
    }
}

impl Rates {
    /// In this process's memory.
    #[must_use]
    pub fn in_memory(clock: SharedClock) -> Self {
        Self { shared: None, clock }
    }

    /// In a store that processes share, and in this one's memory while that fails.
    #[must_use]
    pub fn shared(store: Arc<dyn RateStore>, clock: SharedClock) -> Self {
        Self { shared: Some(store), clock }
    }

    /// A limiter with memory of its own: a flood of subjects of one limit evicts none of another's.
    #[must_use]
    pub fn limiter(&self) -> RateLimiter {
        RateLimiter { memory: Arc::default(), shared: self.shared.clone(), clock: Arc::clone(&self.clock) }
    }
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
    memory: Arc<MemoryRates>,
    shared: Option<Arc<dyn RateStore>>,
    clock: SharedClock,
}

impl std::fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimiter").field("shared", &self.shared.is_some()).finish_non_exhaustive()
    }
}

impl RateLimiter {
    /// Counts one request against every charge, and notes what the response's headers say. While the shared store fails,
    /// this process counts for itself.
    ///
    /// # Errors
    /// If one of the charges does not allow it; then none is counted.
    pub async fn check(&self, charges: &[Charge], report: &RateReport) -> Result<(), RateLimited> {
        let shared = match self.shared_for(charges) {
            Some(store) => store.take(charges).await.ok(),
            None => None,
        };
        judge(charges, &shared.unwrap_or_else(|| self.memory.take(charges, self.clock.now())), report)
    }

    /// As [`Self::check`], without counting: for what is counted only when it fails.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub async fn look(&self, charges: &[Charge], report: &RateReport) -> Result<(), RateLimited> {
        let shared = match self.shared_for(charges) {
            Some(store) => store.look(charges).await.ok(),
            None => None,
        };
        judge(charges, &shared.unwrap_or_else(|| self.memory.look(charges, self.clock.now())), report)
    }

    /// The shared store, unless there is nothing to count.
    fn shared_for(&self, charges: &[Charge]) -> Option<&dyn RateStore> {
        self.shared.as_deref().filter(|_| !charges.is_empty())
    }
}

fn judge(charges: &[Charge], allowances: &[Allowance], report: &RateReport) -> Result<(), RateLimited> {
    let tightest = charges.iter().zip(allowances).min_by_key(|(_, allowance)| allowance.tightness());
    let Some((charge, allowance)) = tightest else { return Ok(()) };
    report.record(charge, *allowance);
    let longest = allowances.iter().filter_map(|allowance| allowance.retry_after).max();
    longest.map_or(Ok(()), |retry_after| Err(RateLimited { retry_after }))
}

#[cfg(test)]
mod tests;
