//! Places of a pool, given in the order of requests. A tenant, or a caller without one, has a share of them: who has
//! used it up waits for its own requests to end, in a line of its own, and takes no place meanwhile.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::counter;
use rowhouse_kernel::{TenantId, UserId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::RequestContext;
use super::queue::Queue;

/// The bits that distinguish IPv6 clients: the interface identifier is the client's choice.
const NETWORK: u128 = !0 << 64;

/// Whose share a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    Tenant(TenantId),
    /// A user in no tenant.
    User(UserId),
    /// A caller without a user; of IPv6 the /64 network.
    Address(IpAddr),
    /// All other callers.
    Unknown,
}

impl Holder {
    pub(super) fn of(context: &RequestContext<'_>) -> Self {
        match (context.caller.tenant, context.caller.user, context.address) {
            (Some(tenant), ..) => Self::Tenant(tenant),
            (None, Some(user), _) => Self::User(user),
            (None, None, Some(IpAddr::V6(address))) => {
                Self::Address(Ipv6Addr::from_bits(address.to_bits() & NETWORK).into())
            }
            (None, None, Some(address)) => Self::Address(address),
            (None, None, None) => Self::Unknown,
        }
    }
}

/// How many connections there are, and how many of them one holder may use.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) all: usize,
    pub(super) share: usize,
}

impl Size {
    /// A pool for one holder alone.
    pub(super) fn undivided(all: u32) -> Self {
        let all = all.max(1) as usize;
        Self { all, share: all }
    }

    /// With `percent` as the share, but at least one connection and one less than all. 100: undivided.
    pub(super) fn divided(all: u32, percent: u32) -> Self {
        let Self { all, .. } = Self::undivided(all);
        match percent {
            100.. => Self { all, share: all },
            _ => Self { all, share: (all * percent as usize / 100).clamp(1, (all - 1).max(1)) },
        }
    }

    /// Half of the connections, and half of those for one holder.
    pub(super) fn streams(self) -> Self {
        let all = (self.all / 2).max(1);
        Self { all, share: if self.share < self.all { (all / 2).max(1) } else { all } }
    }
}

/// Places of one kind.
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// `None` if one holder may have all.
    shares: Option<Arc<Shares>>,
}

/// A place in use. The place is free before its share is, so that others are first.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    pub(super) share: Option<Granted>,
}

struct Shares {
    pool: &'static str,
    kind: &'static str,
    most: usize,
    /// Of those that use or await a place only.
    held: Mutex<HashMap<Holder, Entry>>,
}

struct Entry {
    claims: usize,
    share: Arc<Share>,
}

/// What one holder may use.
pub(super) struct Share {
    free: Arc<Semaphore>,
    /// Its reads that wait for the share.
    pub(super) queue: Queue,
}

/// One request's use of a share, or its wait for it. With the last one the share is forgotten.
pub(super) struct Claim {
    holder: Holder,
    pub(super) share: Arc<Share>,
    shares: Arc<Shares>,
}

/// A claim that may take a place.
pub(super) struct Granted {
    _permit: OwnedSemaphorePermit,
    pub(super) claim: Claim,
}

impl Places {
    pub(super) fn new(pool: &'static str, kind: &'static str, size: Size) -> Self {
        // Shown as zero until one is reached.
        counter!("db_client_share_waits_total", "pool" => pool, "kind" => kind).absolute(0);
        let shares = Shares { pool, kind, most: size.share, held: Mutex::default() };
        Self {
            free: Arc::new(Semaphore::new(size.all)),
            shares: (size.share < size.all).then(|| Arc::new(shares)),
        }
    }

    /// `None` if there are no shares.
    pub(super) fn claim(&self, holder: Holder) -> Option<Claim> {
        let shares = self.shares.as_ref()?;
        let mut held = shares.held();
        let entry = held
            .entry(holder)
            .or_insert_with(|| Entry { claims: 0, share: Arc::new(Share::of(shares.most)) });
        entry.claims += 1;
        Some(Claim { holder, share: Arc::clone(&entry.share), shares: Arc::clone(shares) })
    }

    /// A place that is free at once, of a share that is not used up.
    pub(super) fn try_take(&self, holder: Holder) -> Option<Place> {
        let share = match self.claim(holder) {
            Some(claim) => Some(claim.try_grant().ok()?),
            None => None,
        };
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Place { _permit: permit, share })
    }

    /// Waits for a place, for a request that has its share.
    pub(super) async fn wait(&self, share: Option<Granted>) -> Option<Place> {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(Place { _permit: permit, share })
    }

    pub(super) fn available(&self) -> usize {
        self.free.available_permits()
    }

    /// How many holders use or await a place.
    pub(super) fn holders(&self) -> usize {
        self.shares.as_ref().map_or(0, |shares| shares.held().len())
    }
}

impl Shares {
    fn held(&self) -> MutexGuard<'_, HashMap<Holder, Entry>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    fn of(most: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(most)), queue: Queue::default() }
    }
}

impl Claim {
    /// Returns itself if the share is used up.
    pub(super) fn try_grant(self) -> Result<Granted, Self> {
        match Arc::clone(&self.share.free).try_acquire_owned() {
            Ok(permit) => Ok(Granted { _permit: permit, claim: self }),
            Err(_) => Err(self),
        }
    }

    /// Waits until earlier requests of the holder have ended.
    pub(super) async fn grant(self) -> Option<Granted> {
        let Self { shares: of, share, .. } = &self;
        counter!("db_client_share_waits_total", "pool" => of.pool, "kind" => of.kind).increment(1);
        let permit = Arc::clone(&share.free).acquire_owned().await.ok()?;
        Some(Granted { _permit: permit, claim: self })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut held = self.shares.held();
        if let Some(entry) = held.get_mut(&self.holder) {
            entry.claims -= 1;
            if entry.claims == 0 {
                held.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests;
