//! `response.status` and `response.headers`: how SQL changes the response.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::error::Error;

/// The status that SQL has set.
pub(super) fn status(bytes: &[u8]) -> Result<StatusCode, Error> {
    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse::<u16>().ok());
    let status = number.and_then(|number| StatusCode::from_u16(number).ok());
    // An informational status would not end the HTTP exchange.
    status.filter(|status| !status.is_informational()).ok_or(Error::ResponseStatus)
}

/// Adds the headers that SQL has set, a JSON array of objects with one key each. They replace generated ones of the
/// same name; repeated names are all kept.
pub(super) fn add_headers(headers: &mut HeaderMap, bytes: &[u8]) -> Result<(), Error> {
    let set: Vec<BTreeMap<String, String>> =
        serde_json::from_slice(bytes).map_err(|_| Error::ResponseHeaders)?;
    let mut parsed = Vec::with_capacity(set.len());
    for object in set {
        let mut pairs = object.into_iter();
        let (Some((name, value)), None) = (pairs.next(), pairs.next()) else {
            return Err(Error::ResponseHeaders);
        };
        let name: HeaderName = name.parse().map_err(|_| Error::ResponseHeaders)?;
        parsed.push((name, HeaderValue::from_str(&value).map_err(|_| Error::ResponseHeaders)?));
    }
    for (name, _) in &parsed {
        headers.remove(name);
    }
    for (name, value) in parsed {
        headers.append(name, value);
    }
    Ok(())
}
