//! Sending over HTTP.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::TestApp;

async fn send(app: &TestApp, body: Value) -> (StatusCode, Value) {
    let answer = app.post(&app.service_key, "/mail/v1/send", body).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn mail_is_rendered_from_a_project_template() {
    let app = TestApp::start().await;
    let body = json!({ "to": "ada@b.example", "template": "welcome", "language": "de-AT", "data": { "name": "<Ada>" } });
    let (status, accepted) = send(&app, body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    let path = format!("/mail/v1/messages/{}", accepted["id"]);
    let message = app.get(&app.service_key, &path).await.json();
    assert_eq!((&message["kind"], &message["subject"]), (&json!("welcome"), &json!("Willkommen, <Ada>")));
    let client = app.db.superuser().await;
    let row = client.query_one("select convert_from(mime, 'UTF8') from mail.messages", &[]).await.unwrap();
    let mime: String = row.get(0);
    assert!(mime.contains("<p>&lt;Ada&gt;, since ever</p>"), "{mime}");
}

#[tokio::test]
async fn built_in_template_can_be_used_by_callers() {
    let app = TestApp::start().await;
    let data = json!({ "ConfirmationURL": "https://shop.example/join?a=1", "Token": "123456" });
    let body = json!({ "to": "ada@b.example", "template": "invite", "data": data });
    let (status, accepted) = send(&app, body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
}

#[tokio::test]
async fn mistakes_about_templates_are_named() {
    let app = TestApp::start().await;
    for (body, code, says) in [
        (
            json!({ "template": "wellcome" }),
            "unknown_template",
            "template: there is no \"wellcome\"; there are",
        ),
        (json!({ "template": "../../etc/passwd" }), "unknown_template", "template: there is no"),
        (
            json!({ "template": "welcome" }),
            "missing_value",
            "data: the template welcome needs more than is given; not given: name",
        ),
        (json!({ "template": "welcome", "data": { "name": null } }), "missing_value", "not given: name"),
        (json!({ "template": "invite", "data": { "Token": "1" } }), "missing_value", "ConfirmationURL"),
        (json!({ "template": "welcome", "data": [] }), "invalid_mail", "expected a map"),
        (
            json!({ "template": "welcome", "data": { "name": "A" }, "text": "T" }),
            "invalid_mail",
            "text: comes from the template",
        ),
        (
            json!({ "template": "welcome", "data": { "name": "A" }, "subject": "" }),
            "invalid_mail",
            "subject: comes from",
        ),
        (json!({ "text": "T", "data": {} }), "invalid_mail", "data: belongs to a template"),
        (json!({ "text": "T", "language": "de" }), "invalid_mail", "language: belongs to a template"),
    ] {
        let mut body = body;
        body["to"] = "ada@b.example".into();
        let (status, answer) = send(&app, body).await;
        let message = answer["message"].as_str().unwrap();
        assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!(code)), "{answer}");
        assert!(message.contains(says), "{says}: {message}");
    }
    let none: i64 =
        app.db.superuser().await.query_one("select count(*) from mail.messages", &[]).await.unwrap().get(0);
    assert_eq!(none, 0);
}

#[tokio::test]
async fn sending_and_reading_mail_requires_the_service_key() {
    let app = TestApp::start().await;
    let user = app.sign_up("eve@b.example").await;
    let body = json!({ "to": "ada@b.example", "text": "T" });
    assert_eq!(send(&app, body.clone()).await.0, StatusCode::ACCEPTED);
    for (token, expected) in [(&user.token, StatusCode::FORBIDDEN), (&app.anon_key, StatusCode::UNAUTHORIZED)]
    {
        assert_eq!(app.post(token, "/mail/v1/send", body.clone()).await.status, expected);
        assert_eq!(app.get(token, "/mail/v1/messages/1").await.status, expected);
    }
    let plain = app.request(Method::POST, "/mail/v1/send").json(&body);
    assert_eq!(app.send(plain).await.status, StatusCode::UNAUTHORIZED);
}
