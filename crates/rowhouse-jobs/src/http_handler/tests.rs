use std::time::Duration;

use serde_json::json;

use super::outcome;
use crate::JobError;
use crate::outbound::OutboundResponse;

fn answer(status: u16, body: &str) -> OutboundResponse {
    OutboundResponse { status, retry_after: None, body: body.as_bytes().to_vec(), is_cut: false }
}

#[test]
fn success_stores_a_json_body_and_no_other() {
    assert_eq!(outcome(&answer(200, r#"{"sent":3}"#)), Ok(Some(json!({ "sent": 3 }).into())));
    let digits = r#"{"sum": 0.12345678901234567890123, "large": 1e400}"#;
    assert_eq!(outcome(&answer(200, digits)).unwrap().unwrap().as_str(), digits);
    assert_eq!(outcome(&answer(204, "")), Ok(None));
    assert_eq!(outcome(&answer(201, "<p>done")), Ok(None));
    assert_eq!(outcome(&OutboundResponse { is_cut: true, ..answer(200, "[1") }), Ok(None));
}

#[test]
fn each_error_status_has_its_consequence() {
    assert_eq!(outcome(&answer(422, "bad")), Err(JobError::Fatal("HTTP 422: bad".into())));
    assert_eq!(outcome(&answer(410, "")), Err(JobError::Fatal("HTTP 410".into())));
    for status in [400, 401, 404, 429, 500, 503, 599, 100, 0] {
        assert!(matches!(outcome(&answer(status, "no")), Err(JobError::Retry(_))), "{status}");
    }
    let moved = outcome(&answer(302, "")).unwrap_err().to_string();
    assert_eq!(moved, "HTTP 302; redirects are not followed");
    for status in [429, 503] {
        let busy = OutboundResponse { retry_after: Some(Duration::from_secs(7)), ..answer(status, "") };
        assert_eq!(
            outcome(&busy),
            Err(JobError::RetryAfter(Duration::from_secs(7), format!("HTTP {status}")))
        );
    }
    let ignored = OutboundResponse { retry_after: Some(Duration::from_secs(7)), ..answer(500, "") };
    assert_eq!(outcome(&ignored), Err(JobError::Retry("HTTP 500".into())));
}

#[test]
fn reason_is_short_and_clean() {
    let long = outcome(&answer(500, &format!("a\nb\u{1b}[31m{}", "x".repeat(5000)))).unwrap_err().to_string();
    assert!(long.starts_with("HTTP 500: ab[31mxxx") && long.len() < 600 && !long.contains('\u{1b}'));
}
