//! What the database answered to the main query, and the body as it is handed on.

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HeaderValue};
use rowhouse_db::flight::Row;

use crate::plan::{BodyHandler, Plan, Total};
use crate::request::RowRange;
use crate::sql::column;

/// A body, buffered or streamed.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    Whole(Bytes),
    /// In pieces, of a length known beforehand or not.
    Streamed(Body, Option<usize>),
}

/// The row of a main query, parsed.
#[derive(Debug)]
pub(crate) struct ResultSet {
    pub(super) total: Option<i64>,
    pub(super) page: i64,
    pub(super) body: ResponseBody,
    pub(super) headers: Option<Bytes>,
    pub(super) status: Option<Bytes>,
    pub(super) key: Option<Bytes>,
    pub(super) new_rows: i64,
}

impl ResultSet {
    /// Parses the columns; missing ones count as empty.
    pub(crate) fn from_row(mut row: Row) -> Self {
        let body = row.pop().flatten().unwrap_or_default();
        Self::of(row, ResponseBody::Whole(body))
    }

    /// The columns before the body, and the body.
    pub(crate) fn of(mut row: Row, body: ResponseBody) -> Self {
        let mut take = |at: usize| row.get_mut(at).and_then(Option::take);
        let number =
            |bytes: Option<Bytes>| bytes.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.parse().ok());
        Self {
            total: number(take(column::TOTAL)),
            page: number(take(column::PAGE)).unwrap_or(0),
            body,
            headers: take(column::HEADERS),
            status: take(column::STATUS),
            key: take(column::KEY),
            new_rows: number(take(column::NEW_ROWS)).unwrap_or(0),
        }
    }

    /// The lines of an explained query.
    pub(crate) fn of_lines(rows: Vec<Row>) -> Self {
        let lines: Vec<Bytes> = rows.into_iter().filter_map(|row| row.into_iter().next()?).collect();
        Self {
            total: None,
            page: 0,
            body: ResponseBody::Whole(lines.join(&b'\n').into()),
            headers: None,
            status: None,
            key: None,
            new_rows: 0,
        }
    }

    /// Decodes bytes from PostgreSQL's hexadecimal text form.
    pub(crate) fn decode(&mut self, plan: &Plan<'_>) {
        let is_bytes = plan
            .format()
            .is_some_and(|format| matches!(format.handler, BodyHandler::Custom(handler) if handler.is_bytes));
        let ResponseBody::Whole(body) = &self.body else { return };
        let Some(digits) = body.strip_prefix(b"\\x").filter(|_| is_bytes) else { return };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
        if let Some(bytes) = digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>() {
            self.body = ResponseBody::Whole(bytes.into());
        }
    }

    /// The count of a page that has not been read yet.
    pub(crate) fn count_page(&mut self, range: RowRange) {
        let left = self.total.map_or(0, |total| total.saturating_sub(range.lower).max(0));
        self.page = range.limit().map_or(left, |limit| limit.min(left));
    }

    /// The result of an import: the sum of its batches' counts, and the rest of the last batch.
    pub(crate) fn of_batches(rows: Vec<Row>) -> Self {
        let answers: Vec<Self> = rows.into_iter().map(Self::from_row).collect();
        let page = answers.iter().map(|answer| answer.page).sum();
        let last =
            answers.into_iter().next_back().unwrap_or_else(|| Self::of(Row::new(), ResponseBody::NOTHING));
        Self { page, key: None, ..last }
    }

    /// The total, combined with the planner's estimate.
    pub(crate) fn with_estimate(mut self, total: Total, estimate: Option<i64>) -> Self {
        self.total = total.resolve(self.total, estimate);
        self
    }
}

impl ResponseBody {
    pub(super) const NOTHING: Self = Self::Whole(Bytes::new());

    pub(super) fn into_body(self, headers: &mut HeaderMap) -> Body {
        match self {
            Self::Whole(bytes) => Body::from(bytes),
            Self::Streamed(body, length) => {
                if let Some(length) = length {
                    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
                }
                body
            }
        }
    }
}
