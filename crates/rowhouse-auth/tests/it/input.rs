//! Malformed input is answered with a 4xx in GoTrue's format.

use http::Method;
use rowhouse_auth::AuthSettings;
use serde_json::json;

use crate::app::{App, PASSWORD, settings};

#[tokio::test]
async fn malformed_input_is_refused_everywhere() {
    let app = App::start().await;
    let token = app.sign_up("a@example.com").await.token().to_owned();
    let nested = format!("{{\"data\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let bodies: [&[u8]; 10] = [
        b"", b"{", b"[]", b"null", b"7", b"{\"email\":7,\"password\":[],\"data\":1,\"tenant_id\":{},\"refresh_token\":1}",
        b"{\"email\":\"a\",\"email\":\"b\",\"data\":{},\"data\":{},\"tenant_id\":\"\",\"tenant_id\":\"\",\"refresh_token\":\"\",\"refresh_token\":\"\"}",
        b"{\"data\":\xff}", b"\xff\xfe", nested.as_bytes(),
    ];
    let places = [
        (Method::POST, "/signup"),
        (Method::POST, "/token?grant_type=password"),
        (Method::POST, "/token?grant_type=refresh_token"),
        (Method::PUT, "/user"),
        (Method::POST, "/tenant"),
    ];
    for (method, path) in places {
        for body in bodies {
            let answer = app.send(method.clone(), path, Some(&token), body.to_vec()).await;
            let told = answer.body["code"].is_string() && answer.body["message"].is_string();
            assert!(
                answer.status.is_client_error() && told,
                "{path} {:?}: {answer:?}",
                String::from_utf8_lossy(&body[..body.len().min(80)])
            );
        }
    }
}

#[tokio::test]
async fn text_that_postgres_cannot_store_is_refused() {
    let app = App::start().await;
    let token = app.sign_up("a@example.com").await.token().to_owned();
    app.post("/signup", json!({ "email": "b@example.com", "password": PASSWORD, "data": { "x": "\0" } }))
        .await
        .is(400, "validation_failed");
    app.post("/signup", json!({ "email": "b\0@example.com", "password": PASSWORD }))
        .await
        .is(400, "validation_failed");
    app.password("a@example.com\0", PASSWORD).await.is(400, "validation_failed");
    app.put_as("/user", &token, json!({ "data": { "a\0": 1 } })).await.is(400, "validation_failed");
    app.post_as("/admin/users", &app.service_key, json!({ "email": "c@example.com", "role": "\0" }))
        .await
        .is(400, "validation_failed");
    app.post_as(
        "/admin/users",
        &app.service_key,
        json!({ "email": "c@example.com", "role": "x".repeat(300) }),
    )
    .await
    .is(400, "validation_failed");
    app.refresh("\0").await.is(400, "refresh_token_not_found");
}

#[tokio::test]
async fn large_bodies_unknown_paths_and_methods_are_refused_in_the_dialect() {
    let app = App::with(AuthSettings { max_body_bytes: 1000, ..settings() }).await;
    app.post("/signup", json!({ "email": "x".repeat(2000) })).await.is(413, "request_entity_too_large");
    app.post("/nowhere", json!({})).await.is(404, "not_found");
    app.send(Method::DELETE, "/signup", None, "").await.is(405, "method_not_allowed");
    app.post("/token?grant_type=password&grant_type=password", json!({})).await.is(400, "validation_failed");
}

#[tokio::test]
async fn settings_and_health_are_open() {
    let app = App::start().await;
    let settings = app.send(Method::GET, "/settings", None, "").await.ok();
    assert_eq!(
        (&settings["external"]["email"], &settings["external"]["google"]),
        (&json!(true), &json!(false))
    );
    assert_eq!((&settings["disable_signup"], &settings["mailer_autoconfirm"]), (&json!(false), &json!(true)));
    assert!(app.send(Method::GET, "/health", None, "").await.ok()["version"].is_string());
}

#[tokio::test]
async fn list_as_body_is_refused_and_errors_name_no_rust_types() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    for (method, path, token, body) in [
        (Method::POST, "/signup", None, r#"["b@example.com", null, "correct horse", null]"#),
        (
            Method::POST,
            "/token?grant_type=password",
            None,
            r#"["a@example.com", null, "correct horse", null]"#,
        ),
        (Method::PUT, "/user", Some(person.token()), r#"[null, null, null, {}]"#),
        (Method::POST, "/admin/users", Some(&*app.service_key), r#"["b@example.com"]"#),
        (Method::POST, "/signup", None, r#"{"email": []}"#),
        (Method::POST, "/signup", None, r#"{"data": 1}"#),
    ] {
        let answer = app.send(method, path, token, body).await;
        answer.is(400, "bad_json");
        let message = answer.body["message"].as_str().unwrap().to_owned();
        assert!(!message.contains("struct") && !message.contains("Body"), "{message}");
    }
}

#[tokio::test]
async fn metadata_is_bounded_and_locks_nobody_out() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let path = format!("/admin/users/{}", person.id());
    let large = |bytes: usize| json!({ "k": "x".repeat(bytes) });
    app.put_as(&path, &app.service_key, json!({ "app_metadata": large(8000) }))
        .await
        .is(400, "validation_failed");
    app.put_as(&path, &app.service_key, json!({ "app_metadata": large(4000) })).await.ok();
    app.put_as("/user", person.token(), json!({ "data": large(2900) })).await.ok();
    let session = app.sign_in("a@example.com").await;
    assert_eq!(session.claims(&app)["app_metadata"]["k"].as_str().unwrap().len(), 4000);
    for (round, status) in [(1, 200), (2, 400)] {
        let data = json!({ format!("{round}"): "x".repeat(150_000) });
        assert_eq!(app.put_as("/user", person.token(), json!({ "data": data })).await.status, status);
    }
    let sign_up = json!({ "email": "b@example.com", "password": PASSWORD, "data": large(300_000) });
    app.post("/signup", sign_up).await.is(400, "validation_failed");
    let sql = "update auth.users set raw_app_meta_data = jsonb_build_object('k', repeat('x', 9000))";
    app.sql().await.execute(sql, &[]).await.unwrap();
    let session = app.sign_in("a@example.com").await;
    assert_eq!(session.claims(&app)["app_metadata"], json!({}));
    app.refresh(session.refresh_token()).await.ok();
}
