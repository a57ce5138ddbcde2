//! Invitations, and links for administrators.

use reqwest::Method;
use rowhouse_auth::AuthSettings;
use serde_json::{Value, json};

use crate::app::{Answer, App, PASSWORD};
use crate::confirmation::strict;

async fn admin(app: &App, path: &str, body: Value) -> Answer {
    app.post_as(path, &app.service_key, body).await
}

async fn link(app: &App, body: Value) -> Value {
    admin(app, "/admin/generate_link", body).await.ok()
}

#[tokio::test]
async fn invitation_is_accepted_by_its_link_and_sent_again_until_then() {
    let app = App::with(strict()).await;
    let body = json!({ "email": "a@example.com", "data": { "n": 1 } });
    let user = admin(&app, "/invite", body.clone()).await.ok();
    assert!(user["invited_at"].is_string() && user["confirmation_sent_at"].is_string());
    assert_eq!((&user["user_metadata"], &user["email_confirmed_at"]), (&json!({ "n": 1 }), &json!(null)));
    let first = app.mail_to("a@example.com").await;
    assert_eq!(first.kind, "invite");
    assert_eq!(admin(&app, "/invite", body.clone()).await.ok()["id"], user["id"]);
    assert_eq!(app.open(Method::GET, &first.link()).await.fragment()["error_code"], "otp_expired");
    let opened = app.open(Method::GET, &app.mail_to("a@example.com").await.link()).await.fragment();
    assert_eq!(opened["type"], "invite");
    let accepted = app.get("/user", &opened["access_token"]).await.ok();
    assert_eq!(accepted["id"], user["id"]);
    admin(&app, "/invite", body).await.is(422, "email_exists");
    let tenants = "select count(*) from tenancy.memberships";
    assert_eq!(app.sql().await.query_one(tenants, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn strangers_sign_up_gets_no_password_into_an_invited_account() {
    let app = App::with(strict()).await;
    let user = admin(&app, "/invite", json!({ "email": "a@example.com", "data": { "n": 1 } })).await.ok();
    let body = json!({ "email": "a@example.com", "password": PASSWORD, "data": { "n": 2 } });
    app.post("/signup", body).await.ok();
    app.post("/resend", json!({ "type": "signup", "email": "a@example.com" })).await.ok();
    let mail = app.mail_to("a@example.com").await;
    assert_eq!(mail.kind, "invite");
    let session = app.verify("invite", "a@example.com", &mail.code()).await.ok();
    assert_eq!((&session["user"]["id"], &session["user"]["user_metadata"]["n"]), (&user["id"], &json!(1)));
    app.password("a@example.com", PASSWORD).await.is(400, "invalid_credentials");
}

#[tokio::test]
async fn link_of_each_kind_is_in_the_answer_and_not_sent() {
    let app = App::with(strict()).await;
    let signup =
        json!({ "type": "signup", "email": "a@example.com", "password": PASSWORD, "data": { "n": 1 } });
    let made = link(&app, signup).await;
    assert_eq!(made["user_metadata"], json!({ "n": 1 }));
    assert_eq!((&made["verification_type"], &made["email"]), (&json!("signup"), &json!("a@example.com")));
    assert_eq!(made["redirect_to"], "http://rowhouse.test");
    let url = url::Url::parse(made["action_link"].as_str().unwrap()).unwrap();
    assert_eq!(url.path(), "/auth/v1/verify");
    assert_eq!(app.open(Method::GET, &url).await.fragment()["type"], "signup");
    app.password("a@example.com", PASSWORD).await.ok();
    for kind in ["magiclink", "recovery"] {
        let made = link(&app, json!({ "type": kind, "email": "a@example.com" })).await;
        let by_hash = json!({ "type": kind, "token_hash": made["hashed_token"] });
        app.post("/verify", by_hash).await.ok();
        let made = link(&app, json!({ "type": kind, "email": "a@example.com" })).await;
        app.verify(kind, "a@example.com", made["email_otp"].as_str().unwrap()).await.ok();
    }
    let invited = link(&app, json!({ "type": "invite", "email": "b@example.com" })).await;
    assert!(invited["invited_at"].is_string());
    app.verify("invite", "b@example.com", invited["email_otp"].as_str().unwrap()).await.ok();
    let unknown = link(&app, json!({ "type": "magiclink", "email": "c@example.com" })).await;
    assert_eq!(unknown["verification_type"], "signup");
    app.verify("email", "c@example.com", unknown["email_otp"].as_str().unwrap()).await.ok();
    let change = |kind: &str| json!({ "type": kind, "email": "a@example.com", "new_email": "d@example.com" });
    let current = link(&app, change("email_change_current")).await;
    let new = link(&app, change("email_change_new")).await;
    app.verify("email_change", "a@example.com", current["email_otp"].as_str().unwrap()).await.ok();
    let changed = app.verify("email_change", "d@example.com", new["email_otp"].as_str().unwrap()).await;
    assert_eq!(changed.ok()["user"]["email"], "d@example.com");
    assert!(app.mails().await.is_empty());
}

#[tokio::test]
async fn refused_requests_for_links() {
    let app = App::with(strict()).await;
    let person =
        crate::app::Person(link(&app, json!({ "type": "magiclink", "email": "a@example.com" })).await);
    app.verify("email", "a@example.com", person.0["email_otp"].as_str().unwrap()).await.ok();
    let refused = async |body: Value| admin(&app, "/admin/generate_link", body).await;
    for kind in ["signup", "invite"] {
        let body = json!({ "type": kind, "email": "a@example.com", "password": PASSWORD });
        refused(body).await.is(422, "email_exists");
    }
    for kind in ["recovery", "email_change_current", "email_change_new"] {
        let body = json!({ "type": kind, "email": "x@example.com", "new_email": "y@example.com" });
        refused(body).await.is(404, "user_not_found");
    }
    for body in [
        json!({ "type": "nonsense", "email": "a@example.com" }),
        json!({ "email": "a@example.com" }),
        json!({ "type": "magiclink" }),
        json!({ "type": "signup", "email": "new@example.com" }),
        json!({ "type": "email_change_new", "email": "a@example.com" }),
    ] {
        refused(body).await.is(400, "validation_failed");
    }
    refused(json!({ "type": "signup", "email": "new@example.com", "password": "x" }))
        .await
        .is(422, "weak_password");
    let one = App::on(app.db.clone(), AuthSettings { secure_email_change: false, ..strict() }).await;
    let body =
        json!({ "type": "email_change_current", "email": "a@example.com", "new_email": "y@example.com" });
    admin(&one, "/admin/generate_link", body).await.is(400, "validation_failed");
    app.post("/invite", json!({ "email": "a@example.com" })).await.is(401, "no_authorization");
    app.post_as("/admin/generate_link", &app.anon_key, json!({})).await.is(403, "not_admin");
}
