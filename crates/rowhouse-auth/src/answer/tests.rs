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
use crate::fault::Fault;
use crate::flow::account::AccountError;
use crate::flow::admin::AdminError;
use crate::flow::password::SignInError;
use crate::flow::refresh::RefreshError;
use crate::flow::session::SessionError;
use crate::flow::signup::SignUpError;
use crate::limit::TooManyRequests;
use crate::live::NotLive;
use crate::policy::{EmailError, PasswordError, WeakPassword};
use crate::refusal::Refusal;
use crate::request::{CallerError, InputError};
use crate::store::user_change::WriteError;

type Make = fn() -> Refusal;

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
    let make: Make = || SignInError::InvalidCredentials.into();
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
async fn weak_password_lists_its_reasons_in_both_formats() {
    let make: Make = || {
        let message = "Password should be at least 6 characters.".to_owned();
        PasswordError::Weak(WeakPassword { message, reasons: vec!["length"] }).into()
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
async fn retry_after_is_in_whole_seconds() {
    let (status, headers, _) =
        answered(|| TooManyRequests { retry_after: Duration::from_millis(1500) }.into(), None).await;
    assert_eq!((status, &headers["retry-after"]), (StatusCode::TOO_MANY_REQUESTS, &"2".parse().unwrap()));
    let (status, headers, _) = answered(|| Fault::Busy.into(), None).await;
    assert_eq!((status, &headers["retry-after"]), (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap()));
}

#[tokio::test]
async fn internal_error_hides_its_cause_and_names_the_request() {
    let make: Make = || {
        let error = PgError {
            code: "42P01".to_owned(),
            message: "relation \"secret\" does not exist".to_owned(),
            ..PgError::default()
        };
        Fault::Db(DbError::from(error)).into()
    };
    let (status, _, body) = answered(make, None).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let expected = json!({ "code": 500, "error_code": "unexpected_failure", "msg": "Database error", "error_id": "req-1" });
    assert_eq!(body, expected);
}

/// GoTrue's codes by status, as clients switch on them.
#[test]
fn codes_have_the_statuses_of_gotrue() {
    let refused = |code: &str| {
        Refusal::from(Fault::Db(DbError::from(PgError { code: code.to_owned(), ..PgError::default() })))
    };
    let table: [(Refusal, u16, &str); 28] = [
        (EmailError::Missing.into(), 400, "validation_failed"),
        (InputError::Unread.into(), 400, "bad_json"),
        (SignInError::EmailNotConfirmed.into(), 400, "email_not_confirmed"),
        (SignInError::Banned.into(), 400, "user_banned"),
        (RefreshError::NotFound.into(), 400, "refresh_token_not_found"),
        (RefreshError::AlreadyUsed.into(), 400, "refresh_token_already_used"),
        (RefreshError::SessionOver(crate::lifetime::SessionEnd::Expired).into(), 400, "session_expired"),
        (RefreshError::Banned.into(), 400, "user_banned"),
        (CallerError::NoAuthorization.into(), 401, "no_authorization"),
        (CallerError::BadJwt(TokenError::Expired).into(), 403, "bad_jwt"),
        (NotLive::SessionNotFound.into(), 403, "session_not_found"),
        (NotLive::UserNotFound.into(), 403, "user_not_found"),
        (NotLive::UserBanned.into(), 403, "user_banned"),
        (CallerError::NotAdmin.into(), 403, "not_admin"),
        (SessionError::NotAMember.into(), 403, "tenant_access_denied"),
        (SessionError::OneTenant.into(), 403, "tenant_access_denied"),
        (AdminError::NoSuchUser.into(), 404, "user_not_found"),
        (AdminError::LastOwner(String::new()).into(), 409, "last_owner"),
        (InputError::TooLarge.into(), 413, "request_entity_too_large"),
        (WriteError::EmailTaken.into(), 422, "email_exists"),
        (WriteError::PhoneTaken.into(), 422, "phone_exists"),
        (SignUpError::UserExists.into(), 422, "user_already_exists"),
        (SignUpError::Disabled.into(), 422, "signup_disabled"),
        (AccountError::SamePassword.into(), 422, "same_password"),
        (Fault::Db(DbError::Unavailable(String::new().into())).into(), 503, "unexpected_failure"),
        (Fault::Db(DbError::PoolTimeout(Duration::ZERO)).into(), 504, "request_timeout"),
        (refused("22P05"), 400, "validation_failed"),
        (refused("P0001"), 500, "unexpected_failure"),
    ];
    for (refusal, status, code) in table {
        assert_eq!((refusal.status.as_u16(), refusal.code), (status, code), "{}", refusal.message);
    }
}
