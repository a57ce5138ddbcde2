//! Keyset pagination: a page names the position of its last item instead of a count, so that every page costs the
//! same.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Problem;

/// Items per page by default.
const DEFAULT_LIMIT: u32 = 50;
/// Longest cursor that is accepted.
const MAX_CURSOR_BYTES: usize = 1024;

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Page<T> {
    /// What is listed.
    pub items: Vec<T>,
    /// The cursor of the next page; null on the last one.
    pub next: Option<Cursor>,
}

/// The start of a page. Opaque: clients return it unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Cursor(String);

impl Cursor {
    /// The position after which a page begins.
    ///
    /// # Errors
    /// If it was not issued by the server.
    pub fn position<P: DeserializeOwned>(&self) -> Result<P, Problem> {
        let text = Some(self.0.as_str()).filter(|text| text.len() <= MAX_CURSOR_BYTES);
        let bytes = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let position = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        position.ok_or_else(|| Problem::malformed("cursor: take it from `next` of the page before"))
    }

    /// A cursor after that position.
    fn at(position: &impl Serialize) -> Option<Self> {
        Some(Self(URL_SAFE_NO_PAD.encode(serde_json::to_vec(position).ok()?)))
    }
}

impl<T> Page<T> {
    /// A page of `items`, of which at most `limit` were requested; a full page has a next one.
    pub fn new<P: Serialize>(items: Vec<T>, limit: u32, position: impl Fn(&T) -> P) -> Self {
        let full = items.len() >= limit as usize;
        let next = items.last().filter(|_| full).and_then(|last| Cursor::at(&position(last)));
        Self { items, next }
    }
}

/// The number of items per page.
///
/// # Errors
/// If more than `most` are requested, or none.
pub fn limit(wanted: Option<u32>, most: u32) -> Result<u32, Problem> {
    let limit = wanted.unwrap_or(DEFAULT_LIMIT.min(most));
    match (1..=most).contains(&limit) {
        true => Ok(limit),
        false => Err(Problem::malformed(format!("limit is 1 to {most}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_page_leads_to_the_next_by_its_last_item() {
        let page = Page::new(vec![9_i64, 7], 2, |id| *id);
        assert_eq!(page.next.unwrap().position::<i64>().unwrap(), 7);
        assert_eq!(Page::new(vec![9_i64], 2, |id| *id).next, None);
        assert_eq!(Page::new(Vec::<i64>::new(), 2, |id| *id).next, None);
    }

    #[test]
    fn foreign_cursor_and_limit_out_of_range_are_refused() {
        for text in ["", "7", "!", &"a".repeat(2000)] {
            assert_eq!(Cursor(text.to_owned()).position::<i64>().unwrap_err().status.as_u16(), 400, "{text}");
        }
        assert_eq!(
            (limit(None, 1000).unwrap(), limit(None, 20).unwrap(), limit(Some(20), 20).unwrap()),
            (50, 20, 20)
        );
        assert!(limit(Some(0), 20).is_err() && limit(Some(21), 20).is_err());
    }
}
