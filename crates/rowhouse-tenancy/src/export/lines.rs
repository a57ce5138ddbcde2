//! An export as lines of JSON (NDJSON): the first says what it is, the last one how many rows there are; a file without it is
//! not whole.

use std::io::Write;

use futures_util::TryStreamExt;
use serde_json::json;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::{ExportError, Subject};

/// Writes every row as a line; returns how many. They are of one moment, and none is held in memory.
pub(super) async fn write(
    client: &Client,
    subject: Subject,
    out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    writeln!(out, "{}", json!({ "export": subject.what, "id": subject.id, "version": 1 }))?;
    let sql = format!("select r::text from {}($1) r", subject.function);
    let rows = client.query_typed_raw(&sql, [(subject.id, Type::UUID)]).await?;
    let mut rows = std::pin::pin!(rows);
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        let line: &str = row.try_get(0)?;
        writeln!(out, "{line}")?;
        count += 1;
    }
    writeln!(out, "{}", json!({ "rows": count }))?;
    out.flush()?;
    Ok(count)
}
