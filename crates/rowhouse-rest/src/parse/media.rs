//! Media types: `Content-Type` and `Accept` with its weights (RFC 9110 section 12.5.1).

use http::HeaderMap;

use super::header;
use crate::request::Media;

/// The media types that a client takes, best first; without the header anything.
pub(super) fn accept(headers: &HeaderMap) -> Vec<Media> {
    let Some(text) = header(headers, "accept") else { return vec![Media::Any] };
    let mut weighed: Vec<(u16, Media)> =
        split_outside_quotes(text, ',').map(|part| (weight(part), parse(part))).collect();
    // The sort is stable, so the client's order decides among equals.
    weighed.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    weighed.into_iter().map(|(_, media)| media).collect()
}

/// One media type with its parameters.
pub(super) fn parse(text: &str) -> Media {
    let mut parts = split_outside_quotes(text, ';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let strip = parts.any(|part| {
        part.split_once('=').is_some_and(|(key, value)| {
            key.trim().eq_ignore_ascii_case("nulls") && value.trim().trim_matches('"') == "stripped"
        })
    });
    match name.to_ascii_lowercase().as_str() {
        "application/json" => Media::Json,
        "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object" => Media::Object { strip },
        "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" if strip => Media::StrippedArray,
        "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" => Media::Json,
        "text/csv" => Media::Csv,
        "text/plain" => Media::Text,
        "text/xml" => Media::Xml,
        "application/x-www-form-urlencoded" => Media::Form,
        "application/octet-stream" => Media::Binary,
        "*/*" => Media::Any,
        _ => Media::Other(text.trim().to_owned()),
    }
}

/// `q` in thousandths; 1000 when missing or unreadable.
fn weight(text: &str) -> u16 {
    let q = split_outside_quotes(text, ';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let Some(q) = q else { return 1000 };
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    if whole != "0" {
        return 1000;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    digits.fold(0, |sum, digit| sum * 10 + u16::from(digit.saturating_sub(b'0').min(9)))
}

fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |character| {
        quoted ^= character == '"';
        character == separator && !quoted
    })
}
