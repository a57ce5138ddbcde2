use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use rowhouse_auth::{AuthSettings, CaptchaProvider};
use rowhouse_kernel::Secret;
use serde_json::json;

use crate::app::{App, PASSWORD, settings};

#[tokio::test]
async fn sign_ups_and_passwords_need_a_solved_captcha_and_nothing_else_does() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let verify = move |form: String| async move {
        let answer = match form.contains("response=good") {
            true => r#"{"success": true}"#,
            false => r#"{"success": false, "error-codes": ["invalid-input-response"]}"#,
        };
        seen.lock().unwrap().push(form);
        answer
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/siteverify", listener.local_addr().unwrap());
    let router = Router::new().route("/siteverify", post(verify));
    let service = tokio::spawn(async { axum::serve(listener, router).await });
    let app = App::with(AuthSettings {
        captcha_provider: Some(CaptchaProvider::Turnstile),
        captcha_secret: Some(Secret::new("the site's secret at the service, 32+")),
        captcha_url: Some(url),
        ..settings()
    })
    .await;

    let request = |token: &str| {
        json!({ "email": "a@example.com", "password": PASSWORD,
            "gotrue_meta_security": { "captcha_token": token } })
    };
    app.post("/signup", request("bad")).await.is(400, "captcha_failed");
    app.post("/signup", request(" ")).await.is(400, "captcha_failed");
    app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD }))
        .await
        .is(400, "captcha_failed");
    let session = app.post("/signup", request("good")).await.ok();
    assert!(asked.lock().unwrap().last().unwrap().contains("remoteip=192.0.2.1"));
    app.password("a@example.com", PASSWORD).await.is(400, "captcha_failed");
    app.post("/token?grant_type=password", request("good")).await.ok();
    let refresh = session["refresh_token"].as_str().unwrap();
    app.refresh(refresh).await.ok();
    service.abort();
    let _ = service.await;
    app.post("/signup", request("good")).await.is(500, "unexpected_failure");
}
