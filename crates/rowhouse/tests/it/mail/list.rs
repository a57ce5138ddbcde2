//! One-click unsubscribe.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{TestApp, TestResponse};

/// Sends a mail of `list` and returns its number and its link's path.
async fn send(app: &TestApp, to: &str, more: Value) -> (i64, String) {
    let mut body = json!({ "to": to, "subject": "News", "text": "T", "list": "news" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    if body.get("template").is_some() {
        for key in ["subject", "text"] {
            body.as_object_mut().unwrap().remove(key);
        }
    }
    let answer = app.post(&app.service_key, "/mail/v1/send", body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let id = answer.json()["id"].as_i64().unwrap();
    let head = mime(app, id).await;
    let link = head.lines().find_map(|line| line.strip_prefix("List-Unsubscribe: <"));
    let link = link.map(|link| link.trim_end_matches('>').strip_prefix("http://rowhouse.test").unwrap());
    (id, link.unwrap_or_default().to_owned())
}

async fn mime(app: &TestApp, id: i64) -> String {
    let sql = "select convert_from(mime, 'UTF8') from mail.messages where id = $1";
    app.db.superuser().await.query_one(sql, &[&id]).await.unwrap().get(0)
}

async fn state(app: &TestApp, id: i64) -> String {
    let message = app.get(&app.service_key, &format!("/mail/v1/messages/{id}")).await.json();
    message["recipients"][0]["state"].as_str().unwrap().to_owned()
}

/// As a mail program does it: without a token.
async fn post(app: &TestApp, link: &str, form: &'static str, media_type: &str) -> TestResponse {
    let request = app.request(Method::POST, link).header("content-type", media_type).body(form);
    app.send(request).await
}

const FORM: &str = "application/x-www-form-urlencoded";
const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

#[tokio::test]
async fn one_click_unsubscribes_from_that_list_only() {
    let app = TestApp::start().await;
    let (first, link) = send(&app, "Ada@b.example", json!({})).await;
    assert_eq!(state(&app, first).await, "captured");
    assert!(mime(&app, first).await.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
    for _ in 0..2 {
        let answer = post(&app, &link, ONE_CLICK, FORM).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    let tenant = "00000000-0000-7000-8000-000000000007";
    for (to, more, expected) in [
        ("ada@B.example", json!({}), "suppressed"),
        ("eve@b.example", json!({}), "captured"),
        ("ada@b.example", json!({ "list": "offers" }), "captured"),
        ("ada@b.example", json!({ "list": null }), "captured"),
        ("ada@b.example", json!({ "tenant": tenant }), "captured"),
    ] {
        let (id, _) = send(&app, to, more.clone()).await;
        assert_eq!(state(&app, id).await, expected, "{to} {more}");
    }
}

#[tokio::test]
async fn get_of_the_unsubscribe_link_changes_nothing() {
    let app = TestApp::start().await;
    let (_, link) = send(&app, "ada&co@b.example", json!({})).await;
    let page = app.send(app.request(Method::GET, &link)).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text.contains("<b>ada&amp;co@b.example</b>") && page.text.contains("<form method=\"post\">"),
        "{}",
        page.text
    );
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.headers[name], value);
    }
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
    let german = app.request(Method::GET, &link).header("accept-language", "fr, de-CH;q=0.9, en;q=0.8");
    assert!(app.send(german).await.text.contains("Abmelden"));
    assert_eq!(app.send(app.request(Method::HEAD, &link)).await.status, StatusCode::OK);
    for (form, media_type) in [
        ("", FORM),
        ("List-Unsubscribe=No", FORM),
        ("x=List-Unsubscribe%3DOne-Click", FORM),
        (r#"{"List-Unsubscribe":"One-Click"}"#, "application/json"),
    ] {
        assert_eq!(post(&app, &link, form, media_type).await.status, StatusCode::BAD_REQUEST, "{form}");
    }
    assert_eq!(suppressions(&app).await, 0);
    let multipart =
        "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
    let answer = post(&app, &link, multipart, "multipart/form-data; boundary=x").await;
    assert_eq!((answer.status, suppressions(&app).await), (StatusCode::OK, 1));
}

async fn suppressions(app: &TestApp) -> i64 {
    app.db.superuser().await.query_one("select count(*) from mail.suppressions", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn forged_unsubscribe_link_does_nothing() {
    let app = TestApp::start().await;
    let (_, link) = send(&app, "ada@b.example", json!({})).await;
    let (path, token) = link.split_once("token=").unwrap();
    let (_, other) = send(&app, "eve@b.example", json!({})).await;
    let (_, eve) = other.split_once("token=").unwrap();
    let mixed = format!("{}.{}", token.split_once('.').unwrap().0, eve.split_once('.').unwrap().1);
    let long = "a".repeat(10_000);
    for token in ["", "x", "%ff", &token[..token.len() - 1], &mixed, &long] {
        let link = format!("{path}token={token}");
        assert_eq!(post(&app, &link, ONE_CLICK, FORM).await.status, StatusCode::BAD_REQUEST, "{token}");
        assert_eq!(
            app.send(app.request(Method::GET, &link)).await.status,
            StatusCode::BAD_REQUEST,
            "{token}"
        );
    }
    assert_eq!(post(&app, "/mail/v1/unsubscribe", ONE_CLICK, FORM).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(suppressions(&app).await, 0);
}

#[tokio::test]
async fn template_of_a_list_gets_its_unsubscribe_link() {
    let app = TestApp::start().await;
    let (id, link) = send(
        &app,
        "ada@b.example",
        json!({ "template": "letter", "data": { "UnsubscribeURL": "https://evil.example" } }),
    )
    .await;
    let mime = mime(&app, id).await.replace("=\r\n", "").replace("=3D", "=");
    assert!(mime.contains(&format!("Leave: http://rowhouse.test{link}")), "{mime}");
}

#[tokio::test]
async fn mail_that_cannot_belong_to_a_list_is_refused() {
    let app = TestApp::start().await;
    for (more, says) in [
        (json!({ "to": ["a@b.example", "c@b.example"] }), "list: such a mail goes to one address"),
        (json!({ "bcc": "c@b.example" }), "list: such a mail goes to one address"),
        (json!({ "list": "No such\r\nX: y" }), "list: expected up to 63"),
        (
            json!({ "headers": { "List-Unsubscribe": "<mailto:x@b.example>" } }),
            "headers: List-Unsubscribe is set by list",
        ),
    ] {
        let mut body = json!({ "to": "a@b.example", "text": "T", "list": "news" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = app.post(&app.service_key, "/mail/v1/send", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
        assert!(answer.json()["message"].as_str().unwrap().starts_with(says), "{}", answer.text);
    }
}
