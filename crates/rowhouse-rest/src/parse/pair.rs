//! Decodes and encodes keys and values of a query string. Leaves their meaning to [`super::query`].

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::QueryError;

/// Characters that are not encoded when the query is written out again.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Key and value of a parameter.
pub(super) type Pair<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// Key and value of each parameter, decoded. `;` separates as `&` does.
pub(super) fn split(text: &str) -> Result<Vec<Pair<'_>>, QueryError> {
    let parts = text.split(['&', ';']).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.split_once('=') {
            Some((key, value)) => Ok((decode(key)?, Some(decode(value)?))),
            None => Ok((decode(part)?, None)),
        })
        .collect()
}

/// Percent sequences and `+`. NUL cannot be a value in PostgreSQL and is refused.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, QueryError> {
    let wrong = |reason: &str| QueryError {
        message: "\"failed to parse query string\" (line 1, column 1)".to_owned(),
        details: format!("unexpected {reason}"),
    };
    let plain = !text.bytes().any(|byte| matches!(byte, b'%' | b'+' | 0));
    if plain {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| wrong("invalid UTF-8"))?;
    if decoded.contains('\0') { Err(wrong("NUL character")) } else { Ok(Cow::Owned(decoded.into_owned())) }
}

/// The parameters sorted by key and encoded again.
pub(super) fn canonical(mut pairs: Vec<Pair<'_>>) -> String {
    pairs.sort_by(|left, right| left.0.cmp(&right.0));
    let mut text = String::new();
    for (key, value) in &pairs {
        if !text.is_empty() {
            text.push('&');
        }
        encode(&mut text, key);
        text.push('=');
        encode(&mut text, value.as_deref().unwrap_or_default());
    }
    text
}

fn encode(text: &mut String, part: &str) {
    for (at, word) in part.split(' ').enumerate() {
        if at > 0 {
            text.push('+');
        }
        text.extend(utf8_percent_encode(word, ENCODED));
    }
}
