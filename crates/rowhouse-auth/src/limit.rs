//! Requests per client address, in memory that cannot grow.

use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use rowhouse_kernel::SharedClock;

/// Addresses share this many buckets by a seeded hash, about 4 MB when all are in use; two busy addresses
/// meet in one with odds of 1 in 65,536.
const BUCKETS: u64 = 1 << 16;
const WINDOW: Duration = Duration::from_secs(300);

/// Too many requests from one address, or too many wrong passwords for one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; the next one in {retry_after:?}")]
pub(crate) struct TooManyRequests {
    /// When to try again.
    pub(crate) retry_after: Duration,
}

/// A token bucket per address, full at the start and refilled evenly over five minutes.
pub(crate) struct AddressLimit {
    clock: Ticks,
    limiter: RateLimiter<u16, DashMapStateStore<u16>, Ticks, NoOpMiddleware<Duration>>,
    seed: std::hash::RandomState,
}

impl std::fmt::Debug for AddressLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddressLimit").field("buckets", &self.limiter.len()).finish_non_exhaustive()
    }
}

impl AddressLimit {
    /// Allows `per_5min` requests (at least one) per address.
    pub(crate) fn new(per_5min: u32, clock: SharedClock) -> Self {
        let burst = NonZeroU32::new(per_5min).unwrap_or(NonZeroU32::MIN);
        let quota =
            Quota::with_period(WINDOW / burst.get()).unwrap_or(Quota::per_second(burst)).allow_burst(burst);
        let clock = Ticks(clock);
        Self {
            limiter: RateLimiter::dashmap_with_clock(quota, clock.clone()),
            clock,
            seed: std::hash::RandomState::new(),
        }
    }

    /// Counts one request.
    pub(crate) fn check(&self, address: Option<IpAddr>) -> Result<(), TooManyRequests> {
        let address = network(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        let bucket = (self.seed.hash_one(address) % BUCKETS) as u16;
        self.limiter
            .check_key(&bucket)
            .map_err(|refusal| TooManyRequests { retry_after: refusal.wait_time_from(self.clock.now()) })
    }
}

/// Who has one IPv6 address has its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

/// The kernel's clock as governor reads one: time since 1970.
#[derive(Debug, Clone)]
struct Ticks(SharedClock);

impl Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.now().unix_timestamp_nanos().try_into().map_or(Duration::ZERO, Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::FakeClock;
    use time::OffsetDateTime;

    use super::*;

    fn at(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn address_is_limited_until_its_bucket_refills() {
        let clock = FakeClock::at(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap());
        let limit = AddressLimit::new(30, clock.clone());
        for _ in 0..30 {
            limit.check(at("192.0.2.1")).unwrap();
        }
        let refused = limit.check(at("192.0.2.1")).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(10));
        clock.advance(time::Duration::seconds(10));
        limit.check(at("192.0.2.1")).unwrap();
    }

    #[test]
    fn neighbours_in_one_ipv6_network_share_a_bucket_and_mapped_ipv4_is_ipv4() {
        assert_eq!(network(at("2001:db8::1").unwrap()), network(at("2001:db8::ffff").unwrap()));
        assert_ne!(network(at("2001:db8::1").unwrap()), network(at("2001:db8:0:1::1").unwrap()));
        assert_eq!(network(at("::ffff:192.0.2.1").unwrap()), at("192.0.2.1").unwrap());
    }

    #[test]
    fn any_number_of_addresses_takes_bounded_memory() {
        let clock = FakeClock::at(OffsetDateTime::UNIX_EPOCH);
        let limit = AddressLimit::new(30, clock);
        for n in 0..200_000_u32 {
            let _ = limit.check(Some(IpAddr::V4(n.into())));
        }
        assert!(limit.limiter.len() as u64 <= BUCKETS);
    }
}
