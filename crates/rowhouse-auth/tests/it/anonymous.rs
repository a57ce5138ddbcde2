//! Users without address and number, and what becomes of them.

use rowhouse_auth::AuthSettings;
use serde_json::json;

use crate::app::{App, PASSWORD, Person, settings};
use crate::confirmation::strict;

fn open(settings: AuthSettings) -> AuthSettings {
    AuthSettings { anonymous_users: true, ..settings }
}

#[tokio::test]
async fn anonymous_user_has_a_session_a_tenant_and_no_address() {
    let app = App::with(open(strict())).await;
    let person = Person(app.post("/signup", json!({ "data": { "n": 1 } })).await.ok());
    let user = &person.0["user"];
    assert_eq!(
        (&user["is_anonymous"], &user["email"], &user["identities"]),
        (&json!(true), &json!(""), &json!([]))
    );
    assert_eq!((&user["app_metadata"], &user["user_metadata"]), (&json!({}), &json!({ "n": 1 })));
    let claims = person.claims(&app);
    assert_eq!((&claims["is_anonymous"], &claims["amr"][0]["method"]), (&json!(true), &json!("anonymous")));
    assert!(claims["tenant_id"].is_string());
    app.refresh(person.refresh_token()).await.ok();
    let shown = app.get("/settings", person.token()).await.ok();
    assert_eq!(shown["external"]["anonymous_users"], true);
}

#[tokio::test]
async fn anonymous_sign_ups_are_refused_where_not_allowed_and_limited() {
    let app = App::with(strict()).await;
    app.post("/signup", json!({})).await.is(422, "anonymous_provider_disabled");
    let closed = App::on(app.db.clone(), AuthSettings { disable_signup: true, ..open(strict()) }).await;
    closed.post("/signup", json!({})).await.is(422, "signup_disabled");
    let app = App::on(app.db.clone(), AuthSettings { anonymous_rate_per_hour: 2, ..open(strict()) }).await;
    for _ in 0..2 {
        app.post("/signup", json!({})).await.ok();
    }
    app.post("/signup", json!({})).await.is(429, "over_request_rate_limit");
}

#[tokio::test]
async fn anonymous_user_becomes_permanent_with_a_confirmed_address() {
    let app = App::with(open(strict())).await;
    let person = Person(app.post("/signup", json!({})).await.ok());
    let alone = app.put_as("/user", person.token(), json!({ "password": PASSWORD })).await;
    alone.is(422, "validation_failed");
    let body = json!({ "email": "a@example.com", "password": PASSWORD });
    let pending = app.put_as("/user", person.token(), body).await.ok();
    assert_eq!((&pending["new_email"], &pending["is_anonymous"]), (&json!("a@example.com"), &json!(true)));
    assert_eq!(app.mails().await.len(), 1);
    let code = app.mail_to("a@example.com").await.code();
    let session = Person(app.verify("email_change", "a@example.com", &code).await.ok());
    let user = &session.0["user"];
    assert_eq!((&user["id"], &user["is_anonymous"]), (&json!(person.id()), &json!(false)));
    assert_eq!(user["app_metadata"], json!({ "provider": "email", "providers": ["email"] }));
    assert_eq!(user["identities"][0]["identity_data"]["email"], "a@example.com");
    assert_eq!(session.claims(&app)["is_anonymous"], false);
    app.password("a@example.com", PASSWORD).await.ok();
}

#[tokio::test]
async fn where_addresses_are_confirmed_at_once_so_is_that_of_an_anonymous_user() {
    let app = App::with(open(settings())).await;
    app.sign_up("taken@example.com").await;
    let person = Person(app.post("/signup", json!({})).await.ok());
    let taken = app.put_as("/user", person.token(), json!({ "email": "taken@example.com" })).await;
    taken.is(422, "email_exists");
    let body = json!({ "email": "a@example.com", "password": PASSWORD });
    let user = app.put_as("/user", person.token(), body).await.ok();
    assert_eq!((&user["email"], &user["is_anonymous"]), (&json!("a@example.com"), &json!(false)));
    app.sign_in("a@example.com").await;
}
