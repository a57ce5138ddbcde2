//! How many round trips to the database the most frequent requests take.

use rowhouse_kernel::Secret;
use rowhouse_testkit::{TestDatabase, TripCounter};

use crate::app::{App, settings};

/// Fewest of a few attempts: a background task may have asked the database meanwhile.
async fn trips(counter: &TripCounter, attempt: impl AsyncFn()) -> u64 {
    let mut fewest = u64::MAX;
    for _ in 0..5 {
        let before = counter.count();
        attempt().await;
        fewest = fewest.min(counter.count() - before);
    }
    fewest
}

#[tokio::test]
async fn refresh_and_get_user_take_one_round_trip_and_a_sign_in_two() {
    let (counter, mut db) = (TripCounter::start().await, TestDatabase::create().await);
    db.urls.control = Secret::new(counter.url("rowhouse", &db.name));
    let app = App::on(db, settings()).await;
    let person = app.sign_up("a@example.com").await;
    let token = std::cell::RefCell::new(person.refresh_token().to_owned());
    let rotated = trips(&counter, async || {
        let current = token.borrow().clone();
        let next = app.refresh(&current).await.ok();
        token.replace(next["refresh_token"].as_str().unwrap().to_owned());
    });
    assert_eq!(rotated.await, 1, "a refresh");
    let repeated = trips(&counter, async || {
        let current = token.borrow().clone();
        app.refresh(&current).await.ok();
    });
    assert_eq!(repeated.await, 1, "a repeated refresh");
    let read = trips(&counter, async || drop(app.get("/user", person.token()).await.ok()));
    assert_eq!(read.await, 1, "GET /user");
    let signed_in = trips(&counter, async || drop(app.sign_in("a@example.com").await));
    assert_eq!(signed_in.await, 2, "a sign-in: one read, one transaction");
}
