//! How many round trips to the database the most frequent requests take.

use rowhouse_auth::AuthSettings;
use rowhouse_kernel::Secret;
use rowhouse_testkit::{TestDatabase, TripCounter};
use serde_json::json;

use crate::app::{App, settings};
use crate::oauth_server::{self, Shop};

/// However busy the machine is, in one of so many attempts no background task asks the database meanwhile.
const ATTEMPTS: usize = 30;

/// Fewest of some attempts, no more of them than are needed to find `least`.
async fn trips(counter: &TripCounter, least: u64, attempt: impl AsyncFn()) -> u64 {
    let mut fewest = u64::MAX;
    for _ in 0..ATTEMPTS {
        let before = counter.count();
        attempt().await;
        fewest = fewest.min(counter.count() - before);
        if fewest <= least {
            break;
        }
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
    let rotated = trips(&counter, 1, async || {
        let current = token.borrow().clone();
        let next = app.refresh(&current).await.ok();
        token.replace(next["refresh_token"].as_str().unwrap().to_owned());
    });
    assert_eq!(rotated.await, 1, "a refresh");
    let repeated = trips(&counter, 1, async || {
        let current = token.borrow().clone();
        app.refresh(&current).await.ok();
    });
    assert_eq!(repeated.await, 1, "a repeated refresh");
    let read = trips(&counter, 1, async || drop(app.get("/user", person.token()).await.ok()));
    assert_eq!(read.await, 1, "GET /user");
    let signed_in = trips(&counter, 2, async || drop(app.sign_in("a@example.com").await));
    assert_eq!(signed_in.await, 2, "a sign-in: one read, one transaction");
}

#[tokio::test]
async fn flood_of_wrong_client_secrets_is_refused_without_a_query_and_the_right_one_is_not() {
    let (counter, mut db) = (TripCounter::start().await, TestDatabase::create().await);
    db.urls.control = Secret::new(counter.url("rowhouse", &db.name));
    let settings = AuthSettings { token_rate_per_5min: 2, ..settings() };
    let app = App::with_setup(db, settings, |setup| setup.settings.put(oauth_server::oauth_settings())).await;
    let shop = Shop::register(&app, json!({})).await;
    let wrong = Shop { id: shop.id.clone(), secret: "wrong".to_owned() };
    let unknown = Shop { id: "0198d5a1-0000-7000-8000-000000000001".to_owned(), secret: "wrong".to_owned() };
    for guess in [&wrong, &unknown] {
        oauth_server::is_oauth_error(&guess.refresh(&app, "x").await, 401, "invalid_client");
    }
    for guess in [&wrong, &unknown] {
        let refused = trips(&counter, 0, async || {
            oauth_server::is_oauth_error(&guess.refresh(&app, "x").await, 429, "temporarily_unavailable");
        });
        assert_eq!(refused.await, 0);
    }
    let asked = trips(&counter, 1, async || {
        oauth_server::is_oauth_error(&shop.refresh(&app, "x").await, 400, "invalid_grant");
    });
    assert!(asked.await > 0, "behind the same proxy as the flood");
}
