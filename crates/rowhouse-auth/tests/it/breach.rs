use std::io::Write;

use axum::Router;
use axum::routing::get;
use rowhouse_auth::AuthSettings;
use serde_json::json;

use crate::app::{Answer, App, settings};

/// SHA-1 of "password1".
const BREACHED: &str = "E38AD214943DAAD1D64C102FAEC29DE4AFE9DA3D";

async fn sign_up(app: &App, email: &str, password: &str) -> Answer {
    app.post("/signup", json!({ "email": email, "password": password })).await
}

#[tokio::test]
async fn passwords_of_a_file_are_refused_wherever_they_are_set() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{BREACHED}:2413945").unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let app = App::with(AuthSettings { password_breached_file: Some(path), ..settings() }).await;
    let refused = sign_up(&app, "a@example.com", "password1").await;
    refused.is(422, "weak_password");
    assert_eq!(refused.body["weak_password"]["reasons"], json!(["pwned"]));
    let person = app.sign_up("a@example.com").await;
    app.put_as("/user", person.token(), json!({ "password": "password1" })).await.is(422, "weak_password");
    sign_up(&app, "b@example.com", "password2").await.ok();
}

#[tokio::test]
async fn service_is_asked_by_five_digits_and_its_absence_is_not_fatal_unless_required() {
    let body = format!("{}:7\r\n{}:0\r\n", &BREACHED[5..], "A".repeat(35));
    let router = Router::new().route(
        "/range/{prefix}",
        get(move |axum::extract::Path(prefix): axum::extract::Path<String>| async move {
            if prefix == BREACHED[..5] { body } else { String::new() }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = tokio::spawn(async { axum::serve(listener, router).await });
    let asking = AuthSettings { password_breached_url: Some(url), ..settings() };
    let app = App::with(asking.clone()).await;
    sign_up(&app, "a@example.com", "password1").await.is(422, "weak_password");
    sign_up(&app, "a@example.com", "password2").await.ok();
    service.abort();
    let _ = service.await;
    sign_up(&app, "b@example.com", "password1").await.ok();
    let strict = App::with(AuthSettings { password_breached_required: true, ..asking }).await;
    sign_up(&strict, "b@example.com", "password2").await.is(500, "unexpected_failure");
}
