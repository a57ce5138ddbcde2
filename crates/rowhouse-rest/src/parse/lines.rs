//! JSON lines (`application/x-ndjson`): whole lines become one JSON array, which PostgreSQL expands.

use bytes::Bytes;

use super::RequestError;
use super::json::{Fault, scan};
use crate::settings::RestSettings;

/// Some lines of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The lines as a JSON array.
    pub(crate) array: Bytes,
    /// How many there are, without blank ones.
    pub(crate) rows: usize,
    /// Number of the first line and of the last, from 1.
    pub(crate) first: usize,
    pub(crate) last: usize,
}

impl Batch {
    /// Joins the lines of `text`, the first of which has the number `first`. Line feeds are kept, so that a string
    /// across lines is still detected as malformed.
    pub(crate) fn of(text: &[u8], first: usize) -> Self {
        let mut array = Vec::with_capacity(text.len() + text.len() / 16 + 16);
        array.push(b'[');
        let (mut rows, mut count) = (0, 0);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            count += 1;
            let line = line.trim_ascii();
            if !line.is_empty() {
                array.extend_from_slice(if rows == 0 { b"" } else { b",\n" });
                array.extend_from_slice(line);
                rows += 1;
            }
        }
        array.push(b']');
        Self { array: array.into(), rows, first, last: (first + count).saturating_sub(1).max(first) }
    }
}

/// Checks that every line is one JSON value, and that the objects have the keys `expected`, where there are any.
pub(crate) fn check(
    batch: &Batch,
    expected: Option<&[String]>,
    settings: &RestSettings,
) -> Result<(), RequestError> {
    let wrong = |what: &str| {
        RequestError::Body(format!("{what} (in lines {} to {})", batch.first, batch.last).into())
    };
    let scan = scan(&batch.array, settings.max_json_depth as usize).map_err(|fault| match fault {
        Fault::Invalid => wrong("Every line must be a JSON object"),
        Fault::TooDeep => wrong("JSON is nested too deeply"),
    })?;
    if scan.elements != batch.rows {
        return Err(wrong("Every line must be a JSON object"));
    }
    if batch.rows > 0 && expected.is_some_and(|keys| !scan.uniform || keys != scan.keys) {
        return Err(wrong("All object keys must match"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
