use http::StatusCode;
use http_body_util::BodyExt;
use rowhouse_db::{DbError, PgError};

use super::{Error, ErrorResponse};
use crate::settings::ErrorVerbosity;

fn refused(code: &str, message: &str, signed_in: bool) -> ErrorResponse {
    let error = PgError { code: code.to_owned(), message: message.to_owned(), ..PgError::default() };
    ErrorResponse::from(Error::Database(DbError::Refused(Box::new(error)), signed_in))
}

#[test]
fn sqlstates_have_postgrest_s_statuses() {
    let expected = [
        ("23505", 409),
        ("23503", 409),
        ("23502", 400),
        ("22P02", 400),
        ("25006", 405),
        ("25001", 500),
        ("42P01", 404),
        ("42883", 404),
        ("42703", 400),
        ("42P17", 500),
        ("42501", 403),
        ("P0001", 400),
        ("P0002", 500),
        ("57014", 500),
        ("57P01", 503),
        ("53300", 503),
        ("53400", 500),
        ("40001", 500),
        ("28000", 403),
        ("0LP01", 403),
        ("08006", 503),
        ("XX000", 500),
        ("21000", 400),
        ("54001", 400),
        ("PT402", 402),
        ("PT999", 999),
        ("PTabc", 500),
        ("PT101", 500),
        ("ZZZZZ", 400),
    ];
    for (code, status) in expected {
        assert_eq!(refused(code, "", true).status.as_u16(), status, "{code}");
    }
    assert_eq!(refused("21000", "DELETE requires a WHERE clause", true).status, StatusCode::BAD_REQUEST);
}

/// Messages depend on the server's language.
#[test]
fn routine_distinguishes_causes_of_the_same_sqlstate() {
    let error = |code: &str, routine: &str| PgError {
        code: code.to_owned(),
        message: "auf Deutsch".to_owned(),
        routine: Some(routine.to_owned()),
        ..PgError::default()
    };
    let failed = |error: PgError| Error::Database(DbError::Refused(Box::new(error)), true);
    for routine in ["rewriteTargetView", "error_view_not_updatable", "CheckValidResultRel"] {
        assert_eq!(
            ErrorResponse::from(failed(error("55000", routine))).status,
            StatusCode::METHOD_NOT_ALLOWED
        );
    }
    assert_eq!(ErrorResponse::from(failed(error("55000", "exec_stmt_raise"))).status.as_u16(), 500);
    assert!(super::is_policy_violation(&error("42501", "ExecWithCheckOptions")));
    assert!(!super::is_policy_violation(&error("42501", "aclcheck_error")));
    let no_role =
        ErrorResponse::from(Error::NoRole(Box::new(failed(error("22023", "call_string_check_hook")))));
    assert_eq!((no_role.status, &*no_role.code), (StatusCode::UNAUTHORIZED, "22023"));
}

#[test]
fn missing_privileges_challenge_anonymous_callers() {
    let response = refused("42501", "permission denied", false).respond(ErrorVerbosity::Verbose);
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_eq!(response.headers()["proxy-status"], "PostgREST; error=42501");
    assert!(
        refused("42501", "permission denied", true)
            .respond(ErrorVerbosity::Verbose)
            .headers()
            .get("www-authenticate")
            .is_none()
    );
}

#[test]
fn unavailable_database_has_retry_after() {
    let failure = ErrorResponse::from(Error::Database(DbError::Unavailable("secret host".into()), true));
    assert!(!failure.message.contains("secret"));
    let response = failure.respond(ErrorVerbosity::Verbose);
    assert_eq!(
        (response.status(), response.headers()["retry-after"].to_str().unwrap()),
        (StatusCode::SERVICE_UNAVAILABLE, "1")
    );
    let timeout =
        ErrorResponse::from(Error::Database(DbError::PoolTimeout(std::time::Duration::from_secs(1)), true));
    assert_eq!((timeout.status, timeout.code.as_str()), (StatusCode::GATEWAY_TIMEOUT, "PGRST003"));
    let share =
        ErrorResponse::from(Error::Database(DbError::ShareTimeout(std::time::Duration::from_secs(1)), true));
    assert_eq!((share.status, share.code.as_str()), (StatusCode::GATEWAY_TIMEOUT, "PGRST003"));
    assert!(share.hint.unwrap().contains("db.data_pool_share"));
    assert_eq!(
        ErrorResponse::from(Error::NoSnapshot).respond(ErrorVerbosity::Verbose).headers()["retry-after"],
        "1"
    );
}

#[test]
fn ended_session_and_lost_membership_have_different_errors() {
    let ended = refused("RH401", "session ended", true);
    assert_eq!((ended.status, ended.code.as_str()), (StatusCode::UNAUTHORIZED, "PGRST303"));
    assert!(
        ended.respond(ErrorVerbosity::Verbose).headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Bearer error=")
    );
    let lost = refused("RH403", "tenant suspended", true);
    assert_eq!((lost.status, lost.code.as_str()), (StatusCode::FORBIDDEN, "RH403"));
}

#[test]
fn sql_can_raise_a_whole_response() {
    let raise = |message: &str, detail: Option<&str>| {
        let error = PgError {
            code: "PGRST".into(),
            message: message.into(),
            detail: detail.map(str::to_owned),
            ..PgError::default()
        };
        ErrorResponse::from(Error::Database(DbError::Refused(Box::new(error)), true))
    };
    let failure = raise(
        r#"{"code":"123","message":"pay","hint":"more"}"#,
        Some(r#"{"status":402,"headers":{"X-Pay":"yes"}}"#),
    );
    assert_eq!(
        (failure.status.as_u16(), failure.code.as_str(), failure.hint.as_deref()),
        (402, "123", Some("more"))
    );
    assert_eq!(failure.respond(ErrorVerbosity::Verbose).headers()["x-pay"], "yes");
    let named =
        raise(r#"{"code":"1","message":"m"}"#, Some(r#"{"status":332,"status_text":"Mine","headers":{}}"#));
    let response = named.respond(ErrorVerbosity::Verbose);
    let reason = response.extensions().get::<hyper::ext::ReasonPhrase>().unwrap();
    assert_eq!((response.status().as_u16(), reason.as_bytes()), (332, &b"Mine"[..]));
    for (message, detail) in [
        ("pay", Some("{}")),
        (r#"{"code":"1","message":"m"}"#, None),
        (r#"{"code":"1","message":"m"}"#, Some(r#"{"status":42,"headers":{}}"#)),
    ] {
        let failure = raise(message, detail);
        assert_eq!((failure.status, failure.code.as_str()), (StatusCode::INTERNAL_SERVER_ERROR, "PGRST121"));
    }
}

#[test]
fn body_has_all_four_fields() {
    let failure = ErrorResponse::from(Error::Singular(2));
    let json = serde_json::to_value(&failure).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"code": "PGRST116", "message": "Cannot coerce the result to a single JSON object", "details": "The result contains 2 rows", "hint": null})
    );
}

#[tokio::test]
async fn details_and_hints_are_omitted_with_minimal_verbosity() {
    let body = async |verbosity| {
        let failure =
            ErrorResponse::new(StatusCode::NOT_FOUND, "PGRST205", "gone").details("why").hint("how");
        let bytes = failure.respond(verbosity).into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    let minimal = body(ErrorVerbosity::Minimal).await;
    assert_eq!(minimal, r#"{"code":"PGRST205","message":"gone"}"#);
    let verbose = body(ErrorVerbosity::Verbose).await;
    assert_eq!(verbose, r#"{"code":"PGRST205","message":"gone","details":"why","hint":"how"}"#);
}
