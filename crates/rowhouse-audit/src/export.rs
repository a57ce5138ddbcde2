//! Exports: pieces of text, one after the other, so that an export of any size takes the memory of one piece and holds no
//! connection while its reader is slow.

use rowhouse_db::DbError;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;

use crate::csv;
use crate::filter::Filter;
use crate::list::list;
use crate::record::{Position, Record};

/// Entries of a piece: 5 MB, if all are as long as they may be.
const PIECE: u32 = 500;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AuditExportFormat")]
pub enum Format {
    /// A line of JSON for each entry.
    #[default]
    Ndjson,
    /// A first line with the columns' names, and one for each entry.
    Csv,
}

impl Format {
    /// The media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    /// The ending of a file's name, without a dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    fn begin(self) -> String {
        match self {
            Self::Ndjson => String::new(),
            Self::Csv => csv::HEADER.to_owned(),
        }
    }

    fn append(self, record: &Record, out: &mut String) -> Result<(), DbError> {
        match self {
            Self::Csv => csv::append(record, out),
            Self::Ndjson => {
                let line = serde_json::to_string(record);
                out.push_str(&line.map_err(|error| DbError::Protocol(error.to_string().into()))?);
                out.push('\n');
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ndjson" => Ok(Self::Ndjson),
            "csv" => Ok(Self::Csv),
            _ => Err("expected csv or ndjson".to_owned()),
        }
    }
}

/// A part of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Whole lines.
    pub text: String,
    /// How many entries they are.
    pub entries: usize,
    /// Where the next piece begins; none after the last.
    pub next: Option<Position>,
}

/// The piece after a position, or the first. Newest entries come first, as in [`list`].
///
/// # Errors
/// The database's.
pub async fn piece(
    client: &Client,
    filter: &Filter,
    format: Format,
    after: Option<&Position>,
) -> Result<Piece, DbError> {
    let records = list(client, filter, after, PIECE).await?;
    let mut text = if after.is_none() { format.begin() } else { String::new() };
    records.iter().try_for_each(|record| format.append(record, &mut text))?;
    let is_full = records.len() >= PIECE as usize;
    let next = records.last().filter(|_| is_full).map(Record::position);
    Ok(Piece { text, entries: records.len(), next })
}
