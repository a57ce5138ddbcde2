//! Recovery codes in place of a lost second factor.

use std::time::Duration;

use rowhouse_auth::MfaSettings;
use serde_json::{Value, json};

use crate::app::{Answer, App, Person, mfa_settings};
use crate::factor::with_factor;

async fn issue(app: &App, person: &Person) -> Vec<String> {
    let answer = app.post_as("/factors/recovery_codes", person.token(), json!({})).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let codes = answer.ok()["codes"].clone();
    serde_json::from_value(codes).unwrap()
}

async fn verify(app: &App, person: &Person, code: &str) -> Answer {
    app.post_as("/factors/recovery_codes/verify", person.token(), json!({ "code": code })).await
}

async fn remaining(app: &App, person: &Person) -> Value {
    app.get("/factors/recovery_codes", person.token()).await.ok()["remaining"].clone()
}

#[tokio::test]
async fn code_stands_in_for_a_lost_factor_once() {
    let app = App::start().await;
    let (lost, owner) = with_factor(&app, "a@example.com").await;
    let codes = issue(&app, &owner).await;
    assert_eq!(codes.len(), 10);
    let low = app.sign_in("a@example.com").await;
    app.pass(Duration::from_secs(1));
    let spelled = codes[3].to_lowercase().replace('-', " ");
    let raised = Person(verify(&app, &low, &spelled).await.ok());
    let claims = raised.claims(&app);
    assert_eq!((&claims["aal"], &claims["amr"][0]["method"]), (&json!("aal2"), &json!("mfa/recovery_code")));
    assert_eq!(Person(app.refresh(raised.refresh_token()).await.ok()).claims(&app)["aal"], "aal2");
    let low = app.sign_in("a@example.com").await;
    verify(&app, &low, &codes[3]).await.is(422, "mfa_verification_failed");
    assert_eq!(remaining(&app, &low).await, 9);
    // The lost factor can be replaced.
    app.delete_as(&format!("/factors/{}", lost.id), raised.token()).await.ok();
    let sql = "select count(*) from auth.mfa_recovery_codes";
    let left: i64 = app.sql().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(left, 0, "codes go with the last factor");
}

#[tokio::test]
async fn codes_are_issued_to_whoever_has_the_factor_and_replace_former_ones() {
    let app = App::start().await;
    let person = app.sign_up("b@example.com").await;
    let refused = async |person: &Person| {
        app.post_as("/factors/recovery_codes", person.token(), json!({})).await.is(403, "insufficient_aal");
    };
    refused(&person).await;
    let (_, owner) = with_factor(&app, "a@example.com").await;
    let low = app.sign_in("a@example.com").await;
    refused(&low).await;
    let (former, codes) = (issue(&app, &owner).await, issue(&app, &owner).await);
    verify(&app, &low, &former[0]).await.is(422, "mfa_verification_failed");
    verify(&app, &person, &codes[0]).await.is(422, "mfa_verification_failed");
    assert_eq!(remaining(&app, &owner).await, 10);
    let sql = "select code_hash from auth.mfa_recovery_codes";
    for row in app.sql().await.query(sql, &[]).await.unwrap() {
        assert_eq!(row.get::<_, &str>(0).len(), 64, "only digests are stored");
    }
}

#[tokio::test]
async fn guesses_are_limited_and_audited() {
    let app = App::with_mfa(MfaSettings { mfa_rate_per_5min: 8, ..mfa_settings() }).await;
    let (_, owner) = with_factor(&app, "a@example.com").await;
    let low = app.sign_in("a@example.com").await;
    verify(&app, &low, "").await.is(400, "validation_failed");
    for _ in 0..4 {
        verify(&app, &low, "AAAAA-AAAAA").await.is(422, "mfa_verification_failed");
    }
    verify(&app, &low, "AAAAA-AAAAA").await.is(429, "over_request_rate_limit");
    let sql =
        "select count(*) from auth.audit_log_entries where payload -> 'traits' ->> 'outcome' = 'failure'";
    assert_eq!(app.sql().await.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 4);
    app.get("/user", owner.token()).await.ok();
}
