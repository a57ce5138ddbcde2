//! Header values.

use std::fmt::Write;

use bytes::Bytes;
use http::header::CONTENT_RANGE;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Text as a header value; invalid characters are left out.
pub(super) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| {
        let kept: String = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
        HeaderValue::from_str(&kept).unwrap_or_else(|_| HeaderValue::from_static(""))
    })
}

pub(super) fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    headers.insert(name, value(text));
}

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// `lower-upper/total`, with `*` for what is empty or unknown (RFC 9110 section 14.4).
pub(super) fn content_range(headers: &mut HeaderMap, lower: i64, upper: i64, total: Option<i64>) {
    let mut text = String::with_capacity(24);
    let written = if lower <= upper && total != Some(0) {
        write!(text, "{lower}-{upper}/")
    } else {
        text.write_str("*/")
    };
    let written = written.and_then(|()| match total {
        Some(total) => write!(text, "{total}"),
        None => text.write_str("*"),
    });
    if written.is_ok() {
        headers.insert(CONTENT_RANGE, value(&text));
    }
}

/// The URL of the one row written: its primary key as filters. `key` is a JSON array of texts and nulls.
pub(super) fn location(table: &str, columns: &[&str], key: &Bytes) -> Option<String> {
    let values: Vec<Option<String>> = serde_json::from_slice(key).ok()?;
    let mut text = format!("/{}", encode(table));
    for (at, (column, value)) in columns.iter().zip(values).enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        text.push_str(&encode(column));
        match value {
            Some(value) => write!(text, "=eq.{}", encode(&value)).ok()?,
            None => text.push_str("=is.null"),
        }
    }
    Some(text)
}

/// A warning (RFC 7234 section 5.5) for embeds addressed by their table: (table, alias) each.
pub(super) fn legacy_names(names: &[(String, String)]) -> String {
    let changes: Vec<String> = names
        .iter()
        .map(|(table, alias)| format!("`{table}` to `{alias}`"))
        .map(|text| text.replace(['"', '\\'], ""))
        .collect();
    format!(
        "299 rowhouse \"An embed with an alias was addressed by its table, which will stop working. Change {} in \
         filters, orders and limits.\"",
        changes.join(", ")
    )
}
