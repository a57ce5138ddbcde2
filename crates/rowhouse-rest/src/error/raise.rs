//! `raise sqlstate 'PGRST'`: SQL that decides the whole response through JSON in MESSAGE and DETAIL.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;
use rowhouse_db::PgError;
use serde::Deserialize;

use super::ErrorResponse;
use super::status::own_status;

#[derive(Deserialize)]
struct Message {
    code: String,
    message: String,
    details: Option<String>,
    hint: Option<String>,
}

#[derive(Deserialize)]
struct Detail {
    status: u16,
    status_text: Option<String>,
    headers: BTreeMap<String, String>,
}

pub(super) fn respond(error: &PgError) -> ErrorResponse {
    let message: Message = match serde_json::from_str(&error.message) {
        Ok(message) => message,
        Err(_) => return unreadable_message(&error.message),
    };
    let Some(text) = &error.detail else {
        return unreadable_detail("DETAIL is missing in the RAISE statement");
    };
    let parsed = serde_json::from_str::<Detail>(text).ok();
    let Some((detail, status)) =
        parsed.and_then(|detail| own_status(detail.status).map(|status| (detail, status)))
    else {
        return unreadable_detail(&format!("Invalid JSON value for DETAIL: '{text}'"));
    };
    let mut failure = ErrorResponse::new(status, &message.code, message.message);
    failure.details = message.details.map(serde_json::Value::String);
    failure.hint = message.hint;
    failure.reason = detail.status_text.and_then(|text| ReasonPhrase::try_from(text.into_bytes()).ok());
    failure.headers = detail
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
        })
        .collect();
    failure
}

fn unreadable(details: &str) -> ErrorResponse {
    let message = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error";
    ErrorResponse::new(StatusCode::INTERNAL_SERVER_ERROR, "PGRST121", message).details(details)
}

fn unreadable_message(text: &str) -> ErrorResponse {
    unreadable(&format!("Invalid JSON value for MESSAGE: '{text}'")).hint(
        "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'.",
    )
}

fn unreadable_detail(details: &str) -> ErrorResponse {
    unreadable(details).hint(
        "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'.",
    )
}
