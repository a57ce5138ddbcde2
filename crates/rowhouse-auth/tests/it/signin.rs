use std::time::Duration;

use rowhouse_auth::AuthSettings;
use serde_json::json;

use crate::app::{App, PASSWORD, settings};

#[tokio::test]
async fn password_signs_in_whatever_the_case_of_the_address() {
    let app = App::start().await;
    let first = app.sign_up("a@example.com").await;
    let second = app.sign_in("A@Example.com").await;
    assert_eq!(first.id(), second.id());
    assert_ne!(first.claims(&app)["session_id"], second.claims(&app)["session_id"]);
    assert_eq!(first.claims(&app)["tenant_id"], second.claims(&app)["tenant_id"]);
}

#[tokio::test]
async fn wrong_password_and_unknown_address_get_one_answer() {
    let app = App::start().await;
    app.sign_up("a@example.com").await;
    let wrong = app.password("a@example.com", "wrong horse").await;
    let unknown = app.password("b@example.com", "wrong horse").await;
    wrong.is(400, "invalid_credentials");
    assert_eq!((wrong.status, wrong.body), (unknown.status, unknown.body));
}

#[tokio::test]
async fn consecutive_failures_lock_the_account_for_a_while() {
    let app = App::with(AuthSettings { lockout_failures: 3, ..settings() }).await;
    app.sign_up("a@example.com").await;
    for _ in 0..2 {
        app.password("a@example.com", "wrong").await.is(400, "invalid_credentials");
    }
    app.sign_in("a@example.com").await;
    for _ in 0..3 {
        app.password("a@example.com", "wrong").await.is(400, "invalid_credentials");
    }
    let locked = app.password("a@example.com", PASSWORD).await;
    locked.is(429, "over_request_rate_limit");
    assert_eq!(locked.headers["retry-after"], "60");
    app.pass(Duration::from_secs(60));
    app.sign_in("a@example.com").await;
}

#[tokio::test]
async fn address_is_limited_across_accounts() {
    let app = App::with(AuthSettings { signin_rate_per_5min: 3, ..settings() }).await;
    for n in 0..3 {
        app.password(&format!("{n}@example.com"), "wrong").await.is(400, "invalid_credentials");
    }
    let refused = app.password("4@example.com", "wrong").await;
    refused.is(429, "over_request_rate_limit");
    assert_eq!(refused.headers["retry-after"], "100");
}

#[tokio::test]
async fn imported_bcrypt_hash_signs_in_and_is_renewed() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let sql = app.sql().await;
    let hash = bcrypt::hash("from before", 4).unwrap();
    sql.execute("update auth.users set encrypted_password = $1", &[&hash]).await.unwrap();
    let session = app.password("a@example.com", "from before").await.ok();
    assert_eq!(session["user"]["id"], person.id());
    let renewed: String =
        sql.query_one("select encrypted_password from auth.users", &[]).await.unwrap().get(0);
    assert!(renewed.starts_with("$argon2id$"), "{renewed}");
    app.password("a@example.com", "from before").await.ok();
}

#[tokio::test]
async fn ban_is_reported_only_with_the_right_password() {
    let app = App::start().await;
    app.sign_up("a@example.com").await;
    app.sql().await.execute("update auth.users set banned_until = 'infinity'", &[]).await.unwrap();
    app.password("a@example.com", PASSWORD).await.is(400, "user_banned");
    app.password("a@example.com", "wrong").await.is(400, "invalid_credentials");
}

#[tokio::test]
async fn seed_users_with_null_columns_can_sign_in() {
    let app = App::start().await;
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let insert = "insert into auth.users (id, email, encrypted_password, email_confirmed_at, confirmation_token, raw_app_meta_data,
            raw_user_meta_data, created_at, updated_at, aud, role)
        values (gen_random_uuid(), 'Seed@Example.com', $1, now(), null, null, null, null, null, null, null)";
    app.sql().await.execute(insert, &[&hash]).await.unwrap();
    let session = app.password("seed@example.com", PASSWORD).await;
    assert_eq!(session.body["user"]["app_metadata"], json!({}), "{}", session.body);
    assert_eq!(session.body["user"]["identities"], json!([]));
}

#[tokio::test]
async fn grants_report_missing_parameters() {
    let app = App::start().await;
    app.post("/token?grant_type=password", json!({ "password": "x" })).await.is(400, "validation_failed");
    app.post("/token?grant_type=refresh_token", json!({})).await.is(400, "validation_failed");
    app.post("/token?grant_type=magic", json!({})).await.is(400, "invalid_credentials");
    app.post("/token", json!({})).await.is(400, "invalid_credentials");
}

#[tokio::test]
async fn right_password_does_not_undo_a_lock_set_by_concurrent_guesses() {
    let app = App::start().await;
    app.sign_up("a@example.com").await;
    app.password("a@example.com", "wrong").await.is(400, "invalid_credentials");
    let (sql, watcher) = (app.sql().await, app.sql().await);
    sql.batch_execute("begin; update auth.signin_failures set locked_until = '2100-01-01'").await.unwrap();
    let lock = async {
        // By then the sign-in has read the unlocked row and waits for its lock.
        let waits = "exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
        rowhouse_testkit::until_true(&watcher, waits).await;
        sql.batch_execute("commit").await.unwrap();
    };
    let (answer, ()) = tokio::join!(app.password("a@example.com", PASSWORD), lock);
    assert!(answer.status.is_client_error(), "{}", answer.body);
}

#[tokio::test]
async fn unknown_address_is_locked_like_a_known_one() {
    let app = App::with(AuthSettings { lockout_failures: 3, ..settings() }).await;
    app.sign_up("known@example.com").await;
    for address in ["known@example.com", "unknown@example.com"] {
        for _ in 0..3 {
            app.password(address, "wrong").await.is(400, "invalid_credentials");
        }
        let locked = app.password(&address.to_uppercase(), "wrong").await;
        locked.is(429, "over_request_rate_limit");
        assert_eq!(locked.headers["retry-after"], "60", "{address}");
    }
    app.pass(Duration::from_secs(60));
    app.password("unknown@example.com", "wrong").await.is(400, "invalid_credentials");
}

#[tokio::test]
async fn truncated_bcrypt_password_signs_in_whatever_follows_byte_72() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let hash = bcrypt::hash("x".repeat(80), 4).unwrap();
    let sql = "update auth.users set encrypted_password = $1 where id::text = $2";
    app.sql().await.execute(sql, &[&hash, &person.id()]).await.unwrap();
    app.password("a@example.com", &("x".repeat(72) + "TYPO")).await.ok();
    for _ in 0..2 {
        app.password("a@example.com", &"x".repeat(80)).await.ok();
    }
}

/// A stranger's guesses, from one network or many, keep the owner out neither from a network of theirs nor for longer than
/// each lock from a new one.
#[tokio::test]
async fn guesses_of_strangers_do_not_keep_the_owner_out() {
    let limits = AuthSettings { lockout_failures: 3, lockout_account_failures: 6, ..settings() };
    let app = App::with(limits).await;
    app.sign_up("a@example.com").await;
    for stranger in [2, 3] {
        app.come_from(stranger);
        for _ in 0..3 {
            app.password("a@example.com", "wrong").await.is(400, "invalid_credentials");
        }
        app.password("a@example.com", PASSWORD).await.is(429, "over_request_rate_limit");
    }
    app.come_from(4);
    app.password("a@example.com", PASSWORD).await.is(429, "over_request_rate_limit");
    app.come_from(1);
    app.sign_in("a@example.com").await;
    app.come_from(4);
    app.pass(Duration::from_secs(60));
    app.sign_in("a@example.com").await;
}

#[tokio::test]
async fn each_further_lock_lasts_twice_as_long() {
    let app = App::with(AuthSettings { lockout_failures: 1, ..settings() }).await;
    app.sign_up("a@example.com").await;
    for seconds in [60, 120, 240] {
        app.password("a@example.com", "wrong").await.is(400, "invalid_credentials");
        let locked = app.password("a@example.com", PASSWORD).await;
        assert_eq!(locked.headers["retry-after"], seconds.to_string().as_str());
        app.pass(Duration::from_secs(seconds));
    }
    app.sign_in("a@example.com").await;
    app.password("a@example.com", "wrong").await.is(400, "invalid_credentials");
    assert_eq!(app.password("a@example.com", "wrong").await.headers["retry-after"], "60");
}
