//! Identities that users link and unlink themselves.

use reqwest::Method;
use rowhouse_auth::AuthSettings;
use serde_json::json;
use url::Url;

use super::{FakeProvider, Visitor, acme, is_error, parameter, person, sign_in, start, visit};
use crate::app::{Answer, App, Person};
use crate::factor::{Authenticator, with_factor};

/// Where the provider is asked to link an identity of the caller.
pub(super) async fn authorize(app: &App, token: &str, query: &str) -> Answer {
    app.get(&format!("/user/identities/authorize?provider=acme&skip_http_redirect=true{query}"), token).await
}

/// Below the surface's prefix.
pub(super) fn path_of(url: &Url) -> String {
    url[url::Position::BeforePath..].strip_prefix("/auth/v1").unwrap().to_owned()
}

async fn link(app: &App, provider: &FakeProvider, token: &str, claims: serde_json::Value) -> Url {
    // Identities are listed in the order of their making.
    app.pass(std::time::Duration::from_secs(1));
    let told = authorize(app, token, "").await.ok();
    let path = path_of(&Url::parse(told["url"].as_str().unwrap()).unwrap());
    let there = Visitor::default().send(app, Method::POST, &path, &[]).await.target();
    visit(app, &provider.admit(&there, claims)).await.target()
}

async fn unlink(app: &App, token: &str, id: &str) -> Answer {
    app.send(Method::DELETE, &format!("/user/identities/{id}"), Some(token), "").await
}

pub(super) async fn identities(app: &App, person: &Person) -> Vec<serde_json::Value> {
    app.get("/user", person.token()).await.ok()["identities"].as_array().unwrap().clone()
}

#[tokio::test]
async fn identity_is_linked_by_redirect_and_unlinked_again() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let ann = app.sign_up("a@example.com").await;
    let back = link(&app, &provider, ann.token(), person("9", "other@example.com", false)).await;
    assert!(parameter(&back, "access_token").is_some(), "{back}");
    let linked = identities(&app, &ann).await;
    assert_eq!((linked.len(), &linked[1]["provider"], &linked[1]["id"]), (2, &json!("acme"), &json!("9")));
    let user = app.get("/user", ann.token()).await.ok();
    assert_eq!(user["app_metadata"]["providers"], json!(["email", "acme"]));
    assert_eq!(user["email"], "a@example.com");

    let email = linked[0]["identity_id"].as_str().unwrap();
    let acme = linked[1]["identity_id"].as_str().unwrap();
    unlink(&app, ann.token(), acme).await.ok();
    unlink(&app, ann.token(), email).await.is(422, "single_identity_not_deletable");
    let left = app.get("/user", ann.token()).await.ok();
    assert_eq!(
        (&left["app_metadata"]["providers"], &left["email"]),
        (&json!(["email"]), &json!("a@example.com"))
    );
    let told = "select string_agg(action, ' ' order by occurred_at) from audit.entries where action like 'identity%'";
    let told: String = app.sql().await.query_one(told, &[]).await.unwrap().get(0);
    assert_eq!(told, "identity_linked identity_unlinked");
}

#[tokio::test]
async fn identity_is_linked_to_nobody_who_was_deleted_meanwhile() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let ann = app.sign_up("a@example.com").await;
    let told = authorize(&app, ann.token(), "").await.ok();
    let path = path_of(&Url::parse(told["url"].as_str().unwrap()).unwrap());
    let there = Visitor::default().send(&app, Method::POST, &path, &[]).await.target();
    let softly = json!({ "should_soft_delete": true }).to_string();
    app.send(Method::DELETE, &format!("/admin/users/{}", ann.id()), Some(&app.service_key), softly)
        .await
        .ok();
    let back = visit(&app, &provider.admit(&there, person("9", "a@example.com", true))).await.target();
    is_error(&back, "user_not_found");
}

#[tokio::test]
async fn address_is_not_moved_by_unlinking() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let ann = app.sign_up("a@example.com").await;
    link(&app, &provider, ann.token(), person("9", "b@example.com", true)).await;
    let email = identities(&app, &ann).await[0]["identity_id"].as_str().unwrap().to_owned();
    unlink(&app, ann.token(), &email).await.is(422, "email_conflict_identity_not_deletable");
    link(&app, &provider, ann.token(), person("10", "a@example.com", true)).await;
    unlink(&app, ann.token(), &email).await.ok();
    let user = app.get("/user", ann.token()).await.ok();
    assert_eq!((&user["email"], user["identities"].as_array().unwrap().len()), (&json!("a@example.com"), 2));
}

#[tokio::test]
async fn identities_are_linked_and_unlinked_with_the_second_factor() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let (_, strong) = with_factor(&app, "a@example.com").await;
    link(&app, &provider, strong.token(), person("9", "b@example.com", true)).await;
    let linked = identities(&app, &strong).await[1]["identity_id"].as_str().unwrap().to_owned();
    let weak = app.sign_in("a@example.com").await;
    authorize(&app, weak.token(), "").await.is(401, "insufficient_aal");
    unlink(&app, weak.token(), &linked).await.is(401, "insufficient_aal");
    let token = provider.id_token(person("10", "c@example.com", true));
    let body = json!({ "provider": "acme", "id_token": token, "link_identity": true });
    let path = "/token?grant_type=id_token";
    app.post_as(path, weak.token(), body.clone()).await.is(401, "insufficient_aal");
    app.post_as(path, strong.token(), body).await.ok();
    unlink(&app, strong.token(), &linked).await.ok();
}

#[tokio::test]
async fn first_factor_ends_links_that_were_begun_without_it() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let ann = app.sign_up("a@example.com").await;
    let stranger = app.sign_in("a@example.com").await;
    let told = authorize(&app, stranger.token(), "").await.ok();
    let path = path_of(&Url::parse(told["url"].as_str().unwrap()).unwrap());
    let there = Visitor::default().send(&app, Method::POST, &path, &[]).await.target();
    let authenticator = Authenticator::enroll(&app, &ann, "phone").await;
    let raised = Person(authenticator.verify(&app, &ann).await.ok());
    let back = visit(&app, &provider.admit(&there, person("9", "b@example.com", true))).await.target();
    is_error(&back, "bad_oauth_state");
    assert_eq!(identities(&app, &raised).await.len(), 1);
}

#[tokio::test]
async fn linking_can_be_off_and_needs_a_live_session() {
    let provider = FakeProvider::start().await;
    let off = App::with(AuthSettings { manual_linking: false, ..acme(&provider) }).await;
    let ann = off.sign_up("a@example.com").await;
    authorize(&off, ann.token(), "").await.is(404, "manual_linking_disabled");
    unlink(&off, ann.token(), ann.id()).await.is(404, "manual_linking_disabled");
    let token = provider.id_token(person("9", "b@example.com", true));
    let body = json!({ "provider": "acme", "id_token": token, "link_identity": true });
    off.post_as("/token?grant_type=id_token", ann.token(), body).await.is(404, "manual_linking_disabled");

    let app = start(&provider).await;
    let ann = app.sign_up("a@example.com").await;
    link(&app, &provider, ann.token(), person("9", "b@example.com", true)).await;
    let nobody = "00000000-0000-0000-0000-000000000000";
    unlink(&app, ann.token(), nobody).await.is(422, "identity_not_found");
    unlink(&app, ann.token(), "x").await.is(404, "validation_failed");
    app.post_as("/logout", ann.token(), json!({})).await;
    authorize(&app, ann.token(), "").await.is(403, "session_not_found");
    unlink(&app, ann.token(), nobody).await.is(403, "session_not_found");
}

#[tokio::test]
async fn identity_of_somebody_is_not_linked_again() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    sign_in(&app, &provider, person("9", "b@example.com", true)).await;
    let ann = app.sign_up("a@example.com").await;
    is_error(
        &link(&app, &provider, ann.token(), person("9", "b@example.com", true)).await,
        "identity_already_exists",
    );
    let token = provider.id_token(person("10", "c@example.com", true));
    let body = json!({ "provider": "acme", "id_token": token, "link_identity": true });
    let session = app.post_as("/token?grant_type=id_token", ann.token(), body.clone()).await.ok();
    assert_eq!(session["user"]["id"], ann.id());
    let again = app.post_as("/token?grant_type=id_token", ann.token(), body).await;
    again.is(422, "identity_already_exists");
}

#[tokio::test]
async fn anonymous_user_becomes_a_person_by_linking() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let ann = app.sign_up("a@example.com").await;
    let sql = app.sql().await;
    let anonymous = "update auth.users set is_anonymous = true, email = null, email_confirmed_at = null where id::text = $1";
    sql.execute(anonymous, &[&ann.id()]).await.unwrap();
    sql.execute("delete from auth.identities where user_id::text = $1", &[&ann.id()]).await.unwrap();
    link(&app, &provider, ann.token(), person("9", "b@example.com", true)).await;
    let user = app.get("/user", ann.token()).await.ok();
    assert_eq!((&user["is_anonymous"], &user["email"]), (&json!(false), &json!("b@example.com")));
    assert!(user["email_confirmed_at"].is_string());
    assert_eq!(user["app_metadata"]["provider"], "acme");
}
