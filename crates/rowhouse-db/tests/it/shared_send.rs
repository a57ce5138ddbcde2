//! Shared sends: flights that waited for one connection together are each a transaction of their own, whatever the
//! others do.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use rowhouse_db::flight::{Access, Query, RequestContext, Row, Value};
use rowhouse_db::{DbError, DbSettings};
use rowhouse_kernel::Caller;
use rowhouse_testkit::LIMIT;
use tokio_postgres::Client;

use crate::support::{Busy, Harness, context, one_connection, seen, waiting};

const WHO: &str = "select current_user || '|' || coalesce(auth.tenant_id()::text, '')";
const SLEEP: &str = "select pg_sleep($1::float8)::text";
/// Quick as long as nobody holds the lock.
const WAIT: &str = "select pg_advisory_xact_lock_shared($1::int)::text";
/// A lock that nobody holds, and one that a test holds.
const FREE: &str = "1";
const HELD: &str = "2";
/// Longer than flights stay behind one that holds them up.
const HELD_UP: Duration = Duration::from_millis(200);
/// However busy the machine is, in one of so many rounds the statements before were answered as quickly as they are.
const ROUNDS: usize = 20;
const DIVIDE: &str = "select (1 / $1::int)::text";
const KEEP: &str =
    "select set_config('request.jwt.claims', '{}', false) || set_config('search_path', 'x', false)";

fn query(sql: &str, params: &[&str]) -> Query {
    let params = params.iter().map(|text| Some(Bytes::copy_from_slice(text.as_bytes()))).collect();
    Query { sql: sql.into(), params }
}

async fn read(harness: &Harness, caller: &Caller, sql: &str, params: &[&str]) -> Result<Vec<Row>, DbError> {
    let reading = RequestContext { access: Access::ReadOnly, ..context(caller) };
    harness.database.data.fly(&reading, &query(sql, params)).await
}

fn text(answer: Result<Vec<Row>, DbError>) -> String {
    let rows = answer.unwrap();
    String::from_utf8(rows[0][0].as_deref().unwrap_or_default().to_vec()).unwrap()
}

fn code(answer: Result<Vec<Row>, DbError>) -> String {
    answer.unwrap_err().code().unwrap_or("none").to_owned()
}

fn expected(caller: &Caller) -> String {
    format!("{}|{}", caller.role, caller.tenant.map(|tenant| tenant.0.to_string()).unwrap_or_default())
}

/// Runs the statements once, so that they are known to be quick and others are pipelined behind them.
async fn warm(harness: &Harness, callers: &[&Caller]) {
    for caller in callers {
        for (sql, param) in [(WHO, None), (SLEEP, Some("0")), (WAIT, Some(FREE)), (DIVIDE, Some("1"))] {
            read(harness, caller, sql, param.as_slice()).await.unwrap();
        }
        assert_eq!(code(read(harness, caller, "select * from no_such_table", &[]).await), "42P01");
    }
}

/// Runs `waiting` once every connection is busy, and then lets them go: `join!` begins with the first.
async fn behind<T>(harness: &Harness, waiting: impl Future<Output = T>) -> T {
    let mut busy = Busy::none(harness).await;
    for _ in 0..harness.connections {
        busy.take(harness).await;
    }
    tokio::join!(waiting, busy.release()).0
}

/// The counter `db_client_shared_flights_total` of the callers' pool, as it is scraped.
fn counted(harness: &Harness) -> u64 {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || harness.database.data.record_counts());
    let shown = recorder.handle().render();
    let counter = "db_client_shared_flights_total{pool=\"data\"} ";
    let value = shown.lines().find_map(|line| line.strip_prefix(counter));
    value.unwrap_or_else(|| panic!("no {counter} in {shown}")).parse().unwrap()
}

/// Rounds of a test until what is tested did happen: without that all would hold of flights that are sent one by one.
async fn until_shared(harness: &Harness, round: impl AsyncFn()) {
    let before = counted(harness);
    for _ in 0..ROUNDS {
        round().await;
        if counted(harness) > before {
            return;
        }
    }
    panic!("no flights were sent together");
}

/// Holds the lock that is called held.
async fn hold(harness: &Harness) -> Client {
    let holder = harness.db.superuser().await;
    holder.execute("select pg_advisory_lock($1::text::int)", &[&HELD]).await.unwrap();
    holder
}

#[tokio::test]
async fn each_flight_has_its_own_caller_and_its_own_error() {
    let harness = Harness::new(one_connection()).await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    let anon = Caller::anonymous();
    let callers = [&a, &b, &anon];
    warm(&harness, &callers).await;
    let one = async |n: usize| {
        let caller = callers[n % 3];
        match n % 5 {
            1 => assert_eq!(code(read(&harness, caller, DIVIDE, &["0"]).await), "22012"),
            2 => assert_eq!(code(read(&harness, caller, "select * from no_such_table", &[]).await), "42P01"),
            3 => drop(read(&harness, caller, KEEP, &[]).await.unwrap()),
            _ => assert_eq!(text(read(&harness, caller, WHO, &[]).await), expected(caller), "{n}"),
        }
    };
    until_shared(&harness, async || drop(behind(&harness, join_all((0..60).map(one))).await)).await;
}

#[tokio::test]
async fn dropped_flight_is_cancelled_and_the_others_are_answered() {
    let harness = Harness::new(one_connection()).await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    let callers = [&a, &b];
    let _holder = hold(&harness).await;
    let blocked = format!("{} = 1", waiting(HELD.parse().unwrap()));
    for leaves in 0..4_usize {
        let one = async |n: usize| {
            let caller = callers[n % 2];
            if n == leaves {
                let mut waits = pin!(read(&harness, caller, WAIT, &[HELD]));
                tokio::select! {
                    biased;
                    _ = &mut waits => panic!("it ended before it was left"),
                    () = seen(&harness, &blocked) => {}
                }
                if leaves % 2 == 1 {
                    assert!(tokio::time::timeout(HELD_UP, waits).await.is_err());
                }
            } else {
                assert_eq!(text(read(&harness, caller, WHO, &[]).await), expected(caller), "{leaves} {n}");
            }
        };
        until_shared(&harness, async || {
            warm(&harness, &callers).await;
            let backend = "select pg_backend_pid()::text";
            let before = text(read(&harness, &a, backend, &[]).await);
            let all = behind(&harness, join_all((0..8).map(one)));
            tokio::time::timeout(LIMIT, all).await.unwrap();
            assert_eq!(text(read(&harness, &a, backend, &[]).await), before, "the connection was saved");
        })
        .await;
    }
}

#[tokio::test]
async fn slow_flight_does_not_delay_the_others() {
    let harness = Harness::new(DbSettings { data_pool_size: 2, ..one_connection() }).await;
    let anon = Caller::anonymous();
    let callers = [&anon];
    until_shared(&harness, async || {
        tokio::join!(warm(&harness, &callers), warm(&harness, &callers));
        let (holder, answered) = (hold(&harness).await, AtomicUsize::new(0));
        let one = async |n: usize| {
            if n == 1 {
                assert_eq!(text(read(&harness, &anon, WAIT, &[HELD]).await), "");
                return;
            }
            assert_eq!(text(read(&harness, &anon, WHO, &[]).await), expected(&anon));
            // The slow one ends when all the others have, and not before.
            if answered.fetch_add(1, Ordering::Relaxed) == 6 {
                holder.batch_execute("select pg_advisory_unlock_all()").await.unwrap();
            }
        };
        tokio::time::timeout(LIMIT, behind(&harness, join_all((0..8).map(one)))).await.unwrap();
    })
    .await;
}

/// The request to cancel a flight may arrive when it has ended.
#[tokio::test]
async fn late_cancel_request_does_not_hit_another_flight() {
    let harness = Harness::new(one_connection()).await;
    harness.db.migrate(
        "create function public.tolerant(seconds float8) returns text language plpgsql stable as $$
         begin perform pg_sleep(seconds); return 'slept'; exception when query_canceled then return 'hit'; end $$;
         grant execute on function public.tolerant to anon",
    )
    .await;
    let anon = Caller::anonymous();
    warm(&harness, &[&anon]).await;
    let tolerant = "select public.tolerant($1::float8)";
    read(&harness, &anon, tolerant, &["0"]).await.unwrap();
    let before = counted(&harness);
    for delay in 0..30 {
        let one = async |n: usize| match n {
            0 => {
                let leaving = read(&harness, &anon, SLEEP, &["0.01"]);
                let _left = tokio::time::timeout(Duration::from_millis(5 + delay / 3), leaving).await;
            }
            _ => assert_eq!(text(read(&harness, &anon, tolerant, &["0.003"]).await), "slept"),
        };
        behind(&harness, join_all((0..4).map(one))).await;
    }
    assert!(counted(&harness) > before, "no flights were sent together");
}

#[tokio::test]
async fn flight_that_times_out_does_not_affect_the_others() {
    let settings = DbSettings { statement_timeout: Duration::from_millis(500), ..one_connection() };
    let harness = Harness::new(settings).await;
    let anon = Caller::anonymous();
    let _holder = hold(&harness).await;
    let one = async |n: usize| match n {
        1 => assert_eq!(code(read(&harness, &anon, WAIT, &[HELD]).await), "57014"),
        _ => assert_eq!(text(read(&harness, &anon, WHO, &[]).await), expected(&anon)),
    };
    until_shared(&harness, async || {
        warm(&harness, &[&anon]).await;
        behind(&harness, join_all((0..4).map(one))).await;
    })
    .await;
}

#[tokio::test]
async fn flights_with_stale_plans_are_repeated() {
    let harness = Harness::new(one_connection()).await;
    harness
        .db
        .migrate("create table public.things (a int); insert into public.things values (1); grant select on public.things to anon")
        .await;
    let anon = Caller::anonymous();
    warm(&harness, &[&anon]).await;
    let columns = AtomicUsize::new(1);
    let things = "select * from public.things";
    until_shared(&harness, async || {
        read(&harness, &anon, things, &[]).await.unwrap();
        read(&harness, &anon, WHO, &[]).await.unwrap();
        let columns = columns.fetch_add(1, Ordering::Relaxed) + 1;
        harness.db.migrate(&format!("alter table public.things add column c{columns} int")).await;
        let one = async |n: usize| match n % 2 {
            0 => assert_eq!(read(&harness, &anon, things, &[]).await.unwrap()[0].len(), columns),
            _ => assert_eq!(text(read(&harness, &anon, WHO, &[]).await), expected(&anon)),
        };
        behind(&harness, join_all((0..6).map(one))).await;
    })
    .await;
}

#[tokio::test]
async fn flight_with_a_long_value_is_repeated_alone() {
    let harness = Harness::new(one_connection()).await;
    let anon = Caller::anonymous();
    warm(&harness, &[&anon]).await;
    let repeat = query("select repeat('x', $1::int)", &["1"]);
    let reading = RequestContext { access: Access::ReadOnly, ..context(&anon) };
    harness.database.data.fly_value(&reading, &repeat).await.map(drop).unwrap();
    let long = query("select repeat('x', $1::int)", &["6000000"]);
    let one = async |n: usize| {
        if n == 1 {
            let Ok(Value::Long(_, length, pieces)) = harness.database.data.fly_value(&reading, &long).await
            else {
                panic!("6 MB at once")
            };
            assert_eq!(length, 6_000_000);
            drop(pieces);
        } else {
            assert_eq!(text(read(&harness, &anon, WHO, &[]).await), expected(&anon));
        }
    };
    until_shared(&harness, async || drop(behind(&harness, join_all((0..5).map(one))).await)).await;
}

/// Random requests are started and dropped; each gets its own answer.
#[tokio::test]
async fn random_traffic_never_mixes_answers() {
    let harness = Harness::new(one_connection()).await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    let anon = Caller::anonymous();
    let callers = [&a, &b, &anon];
    warm(&harness, &callers).await;
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let plans: Vec<Vec<(u64, u64)>> =
        (0..12).map(|_| (0..40).map(|_| (random(7), random(3))).collect()).collect();
    let client = async |plan: Vec<(u64, u64)>| {
        for (kind, who) in plan {
            let caller = callers[usize::try_from(who).unwrap()];
            match kind {
                0 => assert_eq!(code(read(&harness, caller, DIVIDE, &["0"]).await), "22012"),
                1 => {
                    let waits = read(&harness, caller, WAIT, &[HELD]);
                    let _left = tokio::time::timeout(Duration::from_millis(10), waits).await;
                }
                2 => assert_eq!(text(harness.fly(caller, WHO, &[]).await), expected(caller)),
                _ => assert_eq!(text(read(&harness, caller, WHO, &[]).await), expected(caller)),
            }
        }
    };
    let (_holder, before) = (hold(&harness).await, counted(&harness));
    let all = join_all(plans.into_iter().map(client));
    tokio::time::timeout(LIMIT, all).await.unwrap();
    assert!(counted(&harness) > before, "no flights were sent together");
}

#[tokio::test]
async fn with_shared_sends_off_every_flight_is_sent_alone() {
    let harness = Harness::new(DbSettings { shared_sends: false, ..one_connection() }).await;
    let anon = Caller::anonymous();
    warm(&harness, &[&anon]).await;
    let one = async |_: usize| assert_eq!(text(read(&harness, &anon, WHO, &[]).await), expected(&anon));
    for _ in 0..ROUNDS {
        behind(&harness, join_all((0..8).map(one))).await;
    }
    assert_eq!(counted(&harness), 0);
}

/// The session is cleared between flights of different callers in the same send.
#[tokio::test]
async fn callers_in_a_shared_send_do_not_see_each_other_s_session_state() {
    let harness = Harness::new(one_connection()).await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    let leave = "select coalesce(current_setting('app.note', true), '') || set_config('app.note', $1, false)";
    read(&harness, &a, leave, &["a"]).await.unwrap();
    read(&harness, &b, leave, &["b"]).await.unwrap();
    let one = async |n: usize| {
        let (caller, own) = if n.is_multiple_of(2) { (&a, "a") } else { (&b, "b") };
        let found = text(read(&harness, caller, leave, &[own]).await);
        assert_eq!(found.replace(own, ""), "", "{n}: only what is its own");
    };
    until_shared(&harness, async || drop(behind(&harness, join_all((0..12).map(one))).await)).await;
}
