use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn;
use axum::routing::get;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use rowhouse_crypto::TokenError;
use rowhouse_db::{DbError, PgError};
use rowhouse_http::RequestId;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{API_VERSION, render};
use crate::AuthError;
use crate::policy::WeakPassword;

type Make = fn() -> AuthError;

async fn answered(make: Make, version: Option<&str>) -> (StatusCode, HeaderMap, Value) {
    let router = Router::new().route("/", get(async move || make())).layer(from_fn(render));
    let mut request = Request::get("/");
    if let Some(version) = version {
        request = request.header(API_VERSION, version);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(RequestId("req-1".into()));
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn dialect_follows_the_version_header() {
    let make: Make = || AuthError::InvalidCredentials;
    let legacy =
        json!({ "code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials" });
    for version in [None, Some("2015-01-01"), Some("latest"), Some("2024-1-1")] {
        let (status, headers, body) = answered(make, version).await;
        assert_eq!((status, &body), (StatusCode::BAD_REQUEST, &legacy), "{version:?}");
        assert!(!headers.contains_key(API_VERSION));
    }
    for version in ["2024-01-01", "2026-11-21"] {
        let (_, headers, body) = answered(make, Some(version)).await;
        assert_eq!(body, json!({ "code": "invalid_credentials", "message": "Invalid login credentials" }));
        assert_eq!(headers[API_VERSION], "2024-01-01");
        assert_eq!(headers["x-sb-error-code"], "invalid_credentials");
        assert_eq!(headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn weak_password_tells_its_reasons_in_both_dialects() {
    let make: Make = || {
        let message = "Password should be at least 6 characters.".to_owned();
        AuthError::WeakPassword(WeakPassword { message, reasons: vec!["length"] })
    };
    let (status, _, modern) = answered(make, Some("2024-01-01")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(modern["code"], "weak_password");
    assert_eq!(modern["weak_password"], json!({ "reasons": ["length"] }));
    let (_, _, legacy) = answered(make, None).await;
    assert_eq!(legacy["error_code"], "weak_password");
    assert_eq!(legacy["weak_password"], json!({ "reasons": ["length"] }));
}

#[tokio::test]
async fn waiting_time_is_told_in_whole_seconds() {
    let (status, headers, _) =
        answered(|| AuthError::RateLimited { retry_after: Duration::from_millis(1500) }, None).await;
    assert_eq!((status, &headers["retry-after"]), (StatusCode::TOO_MANY_REQUESTS, &"2".parse().unwrap()));
    let (status, headers, _) = answered(|| AuthError::Busy, None).await;
    assert_eq!((status, &headers["retry-after"]), (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap()));
}

#[tokio::test]
async fn inner_workings_stay_inside_and_the_request_can_be_named() {
    let make: Make = || {
        let error = PgError {
            code: "42P01".to_owned(),
            message: "relation \"secret\" does not exist".to_owned(),
            ..PgError::default()
        };
        AuthError::Db(DbError::from(error))
    };
    let (status, _, body) = answered(make, None).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let expected = json!({ "code": 500, "error_code": "unexpected_failure", "msg": "Database error", "error_id": "req-1" });
    assert_eq!(body, expected);
}

/// GoTrue's codes by status, as clients switch on them.
#[test]
fn codes_have_their_statuses() {
    let refused =
        |code: &str| AuthError::Db(DbError::from(PgError { code: code.to_owned(), ..PgError::default() }));
    let table = [
        (AuthError::Validation("".into()), 400, "validation_failed"),
        (AuthError::BadJson(String::new()), 400, "bad_json"),
        (AuthError::EmailNotConfirmed, 400, "email_not_confirmed"),
        (AuthError::BannedAtDoor, 400, "user_banned"),
        (AuthError::RefreshTokenNotFound, 400, "refresh_token_not_found"),
        (AuthError::RefreshTokenAlreadyUsed, 400, "refresh_token_already_used"),
        (AuthError::RefreshSessionExpired, 400, "session_expired"),
        (AuthError::NoAuthorization, 401, "no_authorization"),
        (AuthError::BadJwt(TokenError::Expired), 403, "bad_jwt"),
        (AuthError::SessionNotFound, 403, "session_not_found"),
        (AuthError::UserNotFound, 403, "user_not_found"),
        (AuthError::UserBanned, 403, "user_banned"),
        (AuthError::NotAdmin, 403, "not_admin"),
        (AuthError::NoSuchUser, 404, "user_not_found"),
        (AuthError::TooLarge, 413, "request_entity_too_large"),
        (AuthError::EmailExists, 422, "email_exists"),
        (AuthError::UserAlreadyExists, 422, "user_already_exists"),
        (AuthError::SignupDisabled, 422, "signup_disabled"),
        (AuthError::AnonymousDisabled, 422, "anonymous_provider_disabled"),
        (AuthError::SamePassword, 422, "same_password"),
        (AuthError::Db(DbError::Unavailable(String::new())), 503, "unexpected_failure"),
        (AuthError::Db(DbError::PoolTimeout(Duration::ZERO)), 504, "request_timeout"),
        (refused("22P05"), 400, "validation_failed"),
        (refused("P0001"), 500, "unexpected_failure"),
    ];
    for (error, status, code) in table {
        assert_eq!((error.code().0.as_u16(), error.code().1), (status, code), "{error}");
    }
}
