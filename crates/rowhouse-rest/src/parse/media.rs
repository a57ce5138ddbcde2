//! Media types: `Content-Type` and `Accept` with its weights (RFC 9110 section 12.5.1).

use http::HeaderMap;

use super::header;
use crate::request::{ExplainMedia, Media};

/// The media types that a client accepts, best first; without the header any.
pub(super) fn accept(headers: &HeaderMap) -> Vec<Media> {
    let Some(text) = header(headers, "accept") else { return vec![Media::Any] };
    let mut weighed: Vec<(u16, Media)> =
        split_outside_quotes(text, ',').map(|part| (weight(part), parse(part))).collect();
    // The sort is stable, so the client's order decides among equals.
    weighed.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    weighed.into_iter().map(|(_, media)| media).collect()
}

/// What `explain` can be asked for.
const EXPLAIN_OPTIONS: [&str; 5] = ["analyze", "verbose", "settings", "buffers", "wal"];

/// One media type with its parameters.
pub(crate) fn parse(text: &str) -> Media {
    let name = split_outside_quotes(text, ';').next().unwrap_or_default().trim();
    let strip = || parameter(text, "nulls") == Some("stripped");
    match name.to_ascii_lowercase().as_str() {
        "application/json" => Media::Json,
        "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object" => {
            Media::Object { strip: strip() }
        }
        "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" if strip() => Media::StrippedArray,
        "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" => Media::Json,
        "application/vnd.pgrst.plan" | "application/vnd.pgrst.plan+text" => explain(text, false),
        "application/vnd.pgrst.plan+json" => explain(text, true),
        "text/csv" => Media::Csv,
        "application/geo+json" => Media::GeoJson,
        "application/openapi+json" => Media::Openapi,
        "application/x-ndjson" => Media::Ndjson,
        "text/plain" => Media::Text,
        "text/xml" => Media::Xml,
        "application/x-www-form-urlencoded" => Media::Form,
        "application/octet-stream" => Media::Binary,
        "*/*" => Media::Any,
        _ => Media::Other(text.trim().to_owned()),
    }
}

fn explain(text: &str, json: bool) -> Media {
    // `for=` a plan counts as JSON.
    let target = match parameter(text, "for").map(parse) {
        None | Some(Media::Plan(_)) => Media::Json,
        Some(target) => target,
    };
    let asked: Vec<&str> = parameter(text, "options").unwrap_or_default().split('|').collect();
    let options = EXPLAIN_OPTIONS.into_iter().filter(|option| asked.contains(option)).collect();
    Media::Plan(Box::new(ExplainMedia { json, target, options }))
}

/// The value of a parameter, without its quotes.
fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    split_outside_quotes(text, ';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// `q` in thousandths; 1000 when missing or unreadable.
fn weight(text: &str) -> u16 {
    let Some(q) = parameter(text, "q") else { return 1000 };
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
