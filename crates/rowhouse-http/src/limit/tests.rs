use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use rowhouse_kernel::FakeClock;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    AddressLimit, Allowance, Charge, LimitName, MemoryRates, Quota, RateKey, RateLimited, RateLimiter,
    RateReport, RateStore, Rates, StoreError, Subject,
};

const WINDOW: Duration = Duration::from_secs(300);

struct Harness {
    clock: Arc<FakeClock>,
    store: Arc<MemoryRates>,
    limiter: RateLimiter,
}

fn harness(most: usize) -> Harness {
    let clock = FakeClock::at(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap());
    let store = Arc::new(MemoryRates::with_room_for(most));
    let limiter = RateLimiter { memory: Arc::clone(&store), shared: None, clock: clock.clone() };
    Harness { limiter, store, clock }
}

impl Harness {
    /// One request from an address with a quota of `burst` in five minutes.
    async fn from(&self, address: IpAddr, burst: u32) -> Result<(), RateLimited> {
        let quota = Quota::new(burst, WINDOW);
        self.limit(quota).check(address, &RateReport::default()).await
    }

    fn limit(&self, quota: Quota) -> AddressLimit {
        AddressLimit::new(LimitName::new("signin"), quota, self.limiter.clone())
    }
}

fn v4(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(n))
}

fn v6(network: u64) -> IpAddr {
    IpAddr::V6((u128::from(network) << 64 | 1).into())
}

#[tokio::test]
async fn address_is_limited_until_its_budget_comes_back() {
    let harness = harness(10);
    for _ in 0..30 {
        harness.from(v4(1), 30).await.unwrap();
    }
    let refused = harness.from(v4(1), 30).await.unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_secs(10));
    harness.from(v4(2), 30).await.unwrap();
    harness.clock.advance(time::Duration::seconds(10));
    harness.from(v4(1), 30).await.unwrap();
    harness.clock.advance(time::Duration::seconds(300));
    harness.from(v4(3), 30).await.unwrap();
    assert_eq!(harness.store.len(), 1, "who has the full budget is forgotten");
}

/// The /48 `2001:db8:1::` contains 65,536 /64 networks.
#[tokio::test]
async fn owner_of_a_whole_network_does_not_use_up_others_budgets() {
    let harness = harness(1000);
    let site = 0x2001_0db8_0001_0000;
    let mut allowed = 0;
    for n in 0..65_536 {
        allowed += u32::from(harness.from(v6(site + n), 1).await.is_ok());
    }
    assert_eq!(allowed, 16, "a /48 has sixteen times the budget of a /64");
    for n in 0..400 {
        harness.from(v4(0xcb00_0000 + n), 1).await.unwrap();
    }
    harness.from(v6(0x2001_0db8_0002_0000), 1).await.unwrap();
}

#[tokio::test]
async fn flood_of_addresses_neither_resets_an_attacker_nor_locks_out_others() {
    let harness = harness(1000);
    for _ in 0..10 {
        harness.from(v4(1), 10).await.unwrap();
    }
    assert!(harness.from(v4(1), 10).await.is_err());
    for n in 0..50_000 {
        harness.from(v4(0x0a00_0000 + n), 10).await.expect("a new subject finds room");
    }
    assert!(harness.from(v4(1), 10).await.is_err(), "who is at the limit stays there");
    assert!(harness.store.len() <= 1000);
}

#[tokio::test]
async fn request_that_one_limit_refuses_counts_against_none() {
    let harness = harness(10);
    let charge = |subject, burst| Charge {
        key: RateKey { limit: LimitName::new("api"), subject },
        quota: Quota::new(burst, WINDOW),
    };
    let tenant = Uuid::from_u128(1);
    let both = [charge(Subject::User(Uuid::from_u128(2)), 1), charge(Subject::Tenant(tenant), 3)];
    let report = RateReport::default();
    harness.limiter.check(&both, &report).await.unwrap();
    for _ in 0..5 {
        assert!(harness.limiter.check(&both, &report).await.is_err());
    }
    let other =
        [charge(Subject::key("k"), 9), charge(Subject::plan("free"), 9), charge(Subject::Tenant(tenant), 3)];
    assert!(harness.limiter.check(&other, &report).await.is_ok());
    assert!(harness.limiter.check(&other, &report).await.is_ok());
    assert!(harness.limiter.check(&other, &report).await.is_err());
}

#[tokio::test]
async fn looking_counts_nothing_and_sees_what_was_counted() {
    let harness = harness(10);
    let limit = harness.limit(Quota::new(2, WINDOW));
    let report = RateReport::default();
    for _ in 0..5 {
        limit.look(v4(1), &report).await.unwrap();
    }
    assert_eq!(harness.store.len(), 0);
    limit.check(v4(1), &report).await.unwrap();
    limit.check(v4(1), &report).await.unwrap();
    assert_eq!(limit.look(v4(1), &report).await.unwrap_err().retry_after, Duration::from_secs(150));
}

/// As behind a proxy whose header cannot be read.
#[tokio::test]
async fn callers_without_an_address_share_no_budget() {
    let harness = harness(10);
    for _ in 0..100 {
        harness.from(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 1).await.unwrap();
    }
    assert_eq!(harness.store.len(), 0);
}

#[tokio::test]
async fn headers_report_the_tightest_limit() {
    let harness = harness(10);
    let rate_headers = async |status| {
        let (report, mut headers) = (RateReport::default(), HeaderMap::new());
        let _checked = harness.limit(Quota::new(2, WINDOW)).check(v6(7 << 16), &report).await;
        report.write(status, &mut headers);
        ["ratelimit", "ratelimit-policy", "retry-after"]
            .map(|name| headers.get(name).map(|v| v.to_str().unwrap().to_owned()))
    };
    let policy = Some("\"signin-network\";q=2;w=300".to_owned());
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        rate_headers(StatusCode::OK).await,
        [text("\"signin-network\";r=1;t=150"), policy.clone(), None]
    );
    assert_eq!(
        rate_headers(StatusCode::OK).await,
        [text("\"signin-network\";r=0;t=300"), policy.clone(), None]
    );
    let refused = rate_headers(StatusCode::TOO_MANY_REQUESTS).await;
    assert_eq!(refused, [text("\"signin-network\";r=0;t=300"), policy, text("150")]);
    let mut headers = HeaderMap::new();
    RateReport::default().write(StatusCode::OK, &mut headers);
    assert!(headers.is_empty(), "what is not limited says nothing");
}

/// A shared store that knows one answer.
struct Shared(Result<Allowance, StoreError>);

impl Shared {
    fn answer(&self, charges: &[Charge]) -> BoxFuture<'_, Result<Vec<Allowance>, StoreError>> {
        let answer = self.0.clone().map(|allowance| vec![allowance; charges.len()]);
        Box::pin(std::future::ready(answer))
    }
}

impl RateStore for Shared {
    fn take<'s>(&'s self, charges: &'s [Charge]) -> BoxFuture<'s, Result<Vec<Allowance>, StoreError>> {
        self.answer(charges)
    }

    fn look<'s>(&'s self, charges: &'s [Charge]) -> BoxFuture<'s, Result<Vec<Allowance>, StoreError>> {
        self.answer(charges)
    }
}

async fn two_requests(store: Shared) -> [bool; 2] {
    let limiter = Rates::shared(Arc::new(store), harness(10).clock).limiter();
    let limit = AddressLimit::new(LimitName::new("signin"), Quota::new(1, WINDOW), limiter);
    let report = RateReport::default();
    [limit.check(v4(1), &report).await.is_ok(), limit.check(v4(1), &report).await.is_ok()]
}

#[tokio::test]
async fn shared_store_decides_and_memory_counts_while_it_fails() {
    let allowance = |retry_after| Allowance { remaining: 0, full_in: WINDOW, retry_after };
    assert_eq!(two_requests(Shared(Ok(allowance(None)))).await, [true, true]);
    assert_eq!(two_requests(Shared(Ok(allowance(Some(WINDOW))))).await, [false, false]);
    assert_eq!(two_requests(Shared(Err(StoreError("down".to_owned())))).await, [true, false]);
}

#[tokio::test]
async fn limiters_of_one_process_have_memory_of_their_own() {
    let rates = Rates::in_memory(harness(10).clock);
    let limit = || AddressLimit::new(LimitName::new("signin"), Quota::new(1, WINDOW), rates.limiter());
    let (first, second) = (limit(), limit());
    first.check(v4(1), &RateReport::default()).await.unwrap();
    second.check(v4(1), &RateReport::default()).await.unwrap();
}
