//! The script against the store in memory's arithmetic, on a real server.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use rowhouse_http::limit::{Allowance, Charge, LimitName, Quota, RateKey, Subject};
use rowhouse_kernel::Secret;
use rowhouse_testkit::{LIMIT, RedisServer, until};

use super::{Counting, Gcra};
use crate::key::Prefix;
use crate::link::{Connection, Opener};
use crate::settings::RedisSettings;

const LIMITS: [LimitName; 3] = [LimitName::new("one"), LimitName::new("two"), LimitName::new("three")];

async fn connect(server: &RedisServer) -> Connection {
    let settings = RedisSettings { url: Some(Secret::new(server.url())), ..RedisSettings::default() };
    Opener::new(&settings).unwrap().unwrap().open().await.unwrap()
}

fn charge(limit: usize, burst: u32, window: Duration) -> Charge {
    Charge {
        key: RateKey { limit: LIMITS[limit], subject: Subject::key("k") },
        quota: Quota::new(burst, window),
    }
}

/// One request at a time: what it is charged for.
#[derive(Debug, Clone)]
struct Step {
    /// Forwards, or backwards as after a correction of the clock.
    by: i64,
    counting: Counting,
    charges: Vec<Charge>,
}

/// Windows so long that no key expires during the test.
fn step() -> impl Strategy<Value = Step> {
    let window = (3_600_000_000_000_u64..5_000_000_000_000_000).prop_map(Duration::from_nanos);
    let charges = (1_u32..40, 1_u32..40, 1_u32..40, window, 1_u32..8);
    let charges = charges.prop_map(|(one, two, three, window, chosen)| {
        let all = [one, two, three].into_iter().enumerate();
        let chosen = all.filter(|(limit, _)| chosen & (1 << limit) != 0);
        chosen.map(|(limit, burst)| charge(limit, burst, window)).collect()
    });
    let by = prop_oneof![
        4 => 0_i64..2_000_000_000,
        4 => 0_i64..4_000_000_000_000,
        1 => 0_i64..6_000_000_000_000_000,
        1 => -5_000_000_000_i64..0,
    ];
    let counting = prop_oneof![3 => Just(Counting::Take), 1 => Just(Counting::Look)];
    (by, counting, charges).prop_map(|(by, counting, charges)| Step { by, counting, charges })
}

/// What the store in memory does.
fn expected(full_at: &mut HashMap<LimitName, Duration>, step: &Step, now: Duration) -> Vec<Allowance> {
    let take = |charge: &Charge| charge.quota.take(full_at.get(&charge.key.limit).copied(), now);
    let taken: Vec<(Duration, Allowance)> = step.charges.iter().map(take).collect();
    if step.counting == Counting::Take && taken.iter().all(|(_, allowance)| allowance.retry_after.is_none()) {
        for (charge, (full, _)) in step.charges.iter().zip(&taken) {
            full_at.insert(charge.key.limit, *full);
        }
    }
    taken.into_iter().map(|(_, allowance)| allowance).collect()
}

#[test]
fn script_decides_as_quota_does_at_any_time() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(RedisServer::start());
    let connection = runtime.block_on(connect(&server));
    let (gcra, case) = (Gcra::new(), std::cell::Cell::new(0_u32));
    proptest!(ProptestConfig::with_cases(64), |(steps in prop::collection::vec(step(), 1..40))| {
        case.set(case.get() + 1);
        let prefix = Prefix::new("test", &case.get().to_string());
        let (mut full_at, mut connection) = (HashMap::new(), connection.clone());
        let mut now = Duration::new(1_800_000_000, 999_999_999);
        for step in &steps {
            let by = Duration::from_nanos(step.by.unsigned_abs());
            now = if step.by < 0 { now - by } else { now + by };
            let run = gcra.run(&mut connection, &prefix, &step.charges, step.counting, Some(now));
            let found = runtime.block_on(run).unwrap();
            prop_assert_eq!(found, expected(&mut full_at, step, now), "{:?} at {:?}", step, now);
        }
    });
}

#[tokio::test]
async fn keys_are_gone_when_their_budgets_are_full_and_looking_leaves_none() {
    let server = RedisServer::start().await;
    let (mut connection, gcra, prefix) = (connect(&server).await, Gcra::new(), Prefix::new("test", "1"));
    let charges = [charge(0, 4, Duration::from_millis(200)), charge(1, 1, Duration::from_millis(100))];
    gcra.run(&mut connection, &prefix, &charges, Counting::Look, None).await.unwrap();
    assert_eq!(server.ask("DBSIZE").await, ":0");
    let taken = gcra.run(&mut connection, &prefix, &charges, Counting::Take, None).await.unwrap();
    assert_eq!(taken.iter().map(|allowance| allowance.remaining).collect::<Vec<_>>(), [3, 0]);
    gcra.probe(&mut connection, &prefix).await.unwrap();
    until("the counters are gone", LIMIT, async || server.ask("DBSIZE").await == ":0").await;
}

#[tokio::test]
async fn script_is_sent_again_to_a_server_that_has_forgotten_it() {
    let server = RedisServer::start().await;
    let (mut connection, gcra, prefix) = (connect(&server).await, Gcra::new(), Prefix::new("test", "1"));
    for _ in 0..2 {
        gcra.probe(&mut connection, &prefix).await.unwrap();
        assert_eq!(server.ask("SCRIPT FLUSH").await, "+OK");
    }
}

/// A window that Lua's numbers hold only nearly.
#[tokio::test]
async fn budget_of_ten_years_is_counted() {
    let server = RedisServer::start().await;
    let (mut connection, gcra, prefix) = (connect(&server).await, Gcra::new(), Prefix::new("test", "1"));
    let charges = [charge(0, 3, Duration::from_secs(10 * 366 * 86_400))];
    for remaining in [2, 1, 0] {
        let taken = gcra.run(&mut connection, &prefix, &charges, Counting::Take, None).await.unwrap();
        assert_eq!((taken[0].remaining, taken[0].retry_after), (remaining, None));
    }
    let refused = gcra.run(&mut connection, &prefix, &charges, Counting::Take, None).await.unwrap();
    assert!(refused[0].retry_after.is_some(), "{refused:?}");
}
