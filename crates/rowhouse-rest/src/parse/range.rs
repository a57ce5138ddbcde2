//! `limit`, `offset` and the `Range` header become row ranges.

use super::content::QUERY;
use super::query::LimitParameter;
use super::{Incoming, RangeProblem, RequestError, header};
use crate::request::{EmbedPath, RowRange};

/// The ranges of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ranges {
    pub(super) root: RowRange,
    pub(super) embeds: Vec<(EmbedPath, RowRange)>,
}

/// Puts limits and offsets of the same path together; the header counts for GET (RFC 9110 section 14.2)
/// and for QUERY, which is GET with a body.
pub(super) fn resolve(incoming: &Incoming<'_>, limits: &[LimitParameter]) -> Result<Ranges, RequestError> {
    let mut ranges: Vec<(EmbedPath, RowRange)> = Vec::new();
    let mut root = RowRange::ALL;
    for parameter in limits {
        if parameter.path.is_empty() {
            root = range_of(limits, &parameter.path)?;
        } else if !ranges.iter().any(|(path, _)| *path == parameter.path) {
            ranges.push((parameter.path.clone(), range_of(limits, &parameter.path)?));
        }
    }
    let asked = match incoming.method {
        "GET" | QUERY => header(incoming.headers, "range").and_then(from_header),
        _ => None,
    };
    if root == RowRange::NONE {
        return Ok(Ranges { root, embeds: ranges });
    }
    if let Some(asked) = asked {
        if asked.is_empty() {
            return Err(RequestError::Range(RangeProblem::UpsideDown));
        }
        root = intersection(root, asked);
        if root.is_empty() {
            return Err(RequestError::Range(RangeProblem::NegativeLimit));
        }
    }
    Ok(Ranges { root, embeds: ranges })
}

/// The range of one path; the last limit and the last offset count.
fn range_of(limits: &[LimitParameter], path: &[String]) -> Result<RowRange, RequestError> {
    let last = |is_offset| {
        limits
            .iter()
            .rev()
            .find(|p| p.path == path && p.is_offset == is_offset)
            .and_then(|parameter| parameter.value)
    };
    let lower = last(true).unwrap_or(0).max(0);
    match last(false) {
        None => Ok(RowRange { lower, upper: None }),
        Some(0) => Ok(RowRange::NONE),
        Some(limit) if limit < 0 => Err(RequestError::Range(RangeProblem::NegativeLimit)),
        Some(limit) => Ok(RowRange { lower, upper: Some(lower.saturating_add(limit - 1)) }),
    }
}

/// `5-9` or `5-`; anything else is ignored.
fn from_header(text: &str) -> Option<RowRange> {
    let (lower, upper) = text.split_once('-')?;
    let number = |digits: &str| {
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().unwrap_or(i64::MAX))
    };
    if lower.is_empty() {
        return None;
    }
    let lower = number(lower)?;
    let upper = if upper.is_empty() { None } else { Some(number(upper)?) };
    Some(RowRange { lower, upper })
}

fn intersection(left: RowRange, right: RowRange) -> RowRange {
    let upper = match (left.upper, right.upper) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (left, right) => left.or(right),
    };
    RowRange { lower: left.lower.max(right.lower), upper }
}
