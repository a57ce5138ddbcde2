//! How long answers take tells nobody which addresses are known.

use std::time::{Duration, Instant};

use rowhouse_testkit::{LIMIT, until};
use serde_json::json;

use crate::app::{App, settings};
use crate::confirmation::strict;

/// Attempts of each kind in one comparison.
const ATTEMPTS: usize = 9;
/// Comparisons of which one has to hold: a busy machine spoils some, a missing hash spoils all.
const COMPARISONS: usize = 4;
/// The most that one median may be of the other. Without the work for unknown addresses it is more than ten.
const RATIO: f64 = 1.7;

async fn time(attempt: impl Future<Output = ()>) -> Duration {
    let begun = Instant::now();
    attempt.await;
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// Known and unknown in turns, so that both meet the same load.
async fn is_even(known: impl AsyncFn(usize), unknown: impl AsyncFn(usize)) -> bool {
    for round in 0..COMPARISONS {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for n in 0..ATTEMPTS {
            one.push(time(known(round * ATTEMPTS + n)).await);
            other.push(time(unknown(round * ATTEMPTS + n)).await);
        }
        let ratio = median(one) / median(other);
        if (1.0 / RATIO..RATIO).contains(&ratio) {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn wrong_password_takes_as_long_for_an_unknown_address() {
    let auth =
        rowhouse_auth::AuthSettings { lockout_failures: 1000, lockout_account_failures: 1000, ..settings() };
    let app = App::with(auth).await;
    app.sign_up("a@example.com").await;
    let attempt = async |email: &str| app.password(email, "wrong horse").await.is(400, "invalid_credentials");
    // The first one learns how long hashes take here.
    attempt("a@example.com").await;
    let is_even = is_even(
        async |_| attempt("a@example.com").await,
        async |n| attempt(&format!("nobody{n}@example.com")).await,
    );
    assert!(is_even.await);
    // The work is done, not only waited for: an answer takes a hash at least.
    let hash = time(async { drop(app.sign_up("b@example.com").await) }).await;
    let unknown = time(attempt("nobody@example.com")).await;
    assert!(unknown * 4 > hash, "{unknown:?} {hash:?}");
}

#[tokio::test]
async fn wrong_codes_wait_for_each_other_for_unknown_addresses_too() {
    let app = App::with(strict()).await;
    let attempt = async || app.verify("email", "nobody@example.com", "000000").await.is(403, "otp_expired");
    attempt().await;
    let earlier = app.sql().await;
    earlier.batch_execute("begin").await.unwrap();
    assert_eq!(earlier.query("select from auth.code_failures for update", &[]).await.unwrap().len(), 1);
    let watch = app.sql().await;
    let release = async {
        let waits =
            "select exists (select from pg_locks l join pg_database d on d.datname = current_database()
                       join pg_stat_activity a on a.pid = l.pid and a.datid = d.oid where not l.granted)";
        let is_waiting = async || watch.query_one(waits, &[]).await.unwrap().get::<_, bool>(0);
        until("the attempt waits for the earlier one", LIMIT, is_waiting).await;
        earlier.batch_execute("commit").await.unwrap();
    };
    tokio::join!(attempt(), release);
}

#[tokio::test]
async fn recovery_and_magic_link_take_as_long_for_an_unknown_address() {
    let app = App::with(strict()).await;
    for n in 0..ATTEMPTS * COMPARISONS {
        let body = json!({ "email": format!("known{n}@example.com"), "email_confirm": true });
        app.post_as("/admin/users", &app.service_key, body).await.ok();
    }
    for path in ["/recover", "/otp"] {
        let ask = async |email: String| {
            let body = json!({ "email": email, "create_user": false });
            app.post(path, body).await.ok();
        };
        for n in 0..3 {
            ask(format!("known{n}@example.com")).await;
        }
        let is_even = is_even(
            async |n| ask(format!("known{n}@example.com")).await,
            async |n| ask(format!("nobody{n}@example.com")).await,
        );
        assert!(is_even.await, "{path}");
    }
}
