//! The query string of QUERY (draft-ietf-httpbis-safe-method-w-body): the URL's parameters, then the body's, and the
//! bounds on them.
//!
//! A URL is bounded by the HTTP layer. A body is not, so the cost of processing it is bounded here.

use std::borrow::Cow;

use memchr::{memchr_iter, memmem};

use super::pair::{Pair, canonical};
use super::{Incoming, QueryError, RequestError, header, media};
use crate::request::{Action, Media};

/// The safe method with a body; the `http` crate has no name for it.
pub(super) const QUERY: &str = "QUERY";

/// The longest query string that a URL can carry; a longer one came in a body and is checked.
pub(super) const URL_BYTES: usize = 65_536;
/// The most parameters.
const MAX_PARAMETERS: usize = 16_384;
/// The most values in the lists of all filters, as commas.
const MAX_VALUES: usize = 1_000_000;
/// The most conditions and groups in all logic trees, and the most steps of JSON paths in them. A statement cannot
/// bind the values of more.
pub(super) const MAX_NODES: usize = 16_384;
/// The longest query string that is repeated in `Content-Location` of an answer to QUERY, in bytes. Proxies allow a
/// few kilobytes of response headers.
const MAX_LOCATION: usize = 2_048;
/// The same where the URL had it. Node.js fails if response headers exceed 16 KiB in total.
const MAX_OWN_LOCATION: usize = 8_192;

/// The query string. For QUERY the URL's parameters precede the body's.
pub(super) fn query<'a>(incoming: &'a Incoming<'_>) -> Result<Cow<'a, str>, RequestError> {
    if incoming.method != QUERY {
        return Ok(Cow::Borrowed(incoming.query));
    }
    let named = header(incoming.headers, "content-type");
    if named.map(media::parse) != Some(Media::Form) {
        return Err(RequestError::QueryType(named.unwrap_or("none").to_owned()));
    }
    let text = std::str::from_utf8(&incoming.body).map_err(|_| wrong("unexpected invalid UTF-8"))?;
    Ok(if incoming.query.is_empty() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned([incoming.query, text].join("&"))
    })
}

/// The URL of an equivalent GET, for a read; `None` if it is too long for a header.
pub(super) fn location(method: &str, action: &Action, bytes: usize, pairs: Vec<Pair<'_>>) -> Option<String> {
    let most = if method == QUERY { MAX_LOCATION } else { MAX_OWN_LOCATION };
    if !matches!(action, Action::Read { .. }) || bytes > most {
        return None;
    }
    Some(canonical(pairs)).filter(|text| text.len() <= most)
}

/// Refuses queries whose processing would take too much: only filters may be long.
pub(super) fn require_bounded(pairs: &[Pair<'_>]) -> Result<(), QueryError> {
    if pairs.len() > MAX_PARAMETERS {
        return Err(wrong("expecting at most 16384 parameters"));
    }
    let (mut short, mut values, mut steps) = (0, 0, 0);
    for (key, value) in pairs {
        let value = value.as_deref().unwrap_or_default().as_bytes();
        short += key.len();
        match key.rsplit('.').next().unwrap_or(key) {
            "select" | "columns" | "on_conflict" | "order" | "limit" | "offset" | "distinct" => {
                short += value.len();
            }
            "and" | "or" | "having" => {
                values += memchr_iter(b',', value).count();
                steps += memmem::find_iter(value, b"->").count();
            }
            _ => values += memchr_iter(b',', value).count(),
        }
    }
    match () {
        () if short > URL_BYTES => Err(wrong("expecting at most 65536 bytes of anything but filters")),
        () if values > MAX_VALUES => Err(wrong("expecting at most 1000000 values in lists")),
        () if steps > MAX_NODES => Err(wrong("expecting at most 16384 steps of JSON paths")),
        () => Ok(()),
    }
}

fn wrong(details: &str) -> QueryError {
    QueryError {
        message: "\"failed to parse query string\" (line 1, column 1)".to_owned(),
        details: details.to_owned(),
    }
}
