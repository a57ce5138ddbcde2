//! Exports as lines of JSON (NDJSON): the first says what it is, the last one how many rows there are; a file without it is
//! not whole. Leaves what is exported to SQL.

use std::io::Write;

use futures_util::TryStreamExt;
use rowhouse_db::DbError;
use serde_json::json;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The output's part.
    #[error(transparent)]
    Output(#[from] std::io::Error),
}

/// Writes the rows of a statement with the parameter `$1`, which returns one text each, as lines; returns how many. They are
/// of one moment, and none is held in memory.
///
/// # Errors
/// [`LinesError`].
pub async fn write(
    client: &Client,
    (what, id): (&str, Uuid),
    sql: &str,
    out: &mut (dyn Write + Send),
) -> Result<u64, LinesError> {
    writeln!(out, "{}", json!({ "export": what, "id": id, "version": 1 }))?;
    let rows = client.query_typed_raw(sql, [(id, Type::UUID)]).await.map_err(DbError::from)?;
    let mut rows = std::pin::pin!(rows);
    let mut count = 0;
    while let Some(row) = rows.try_next().await.map_err(DbError::from)? {
        let line: &str = row.try_get(0).map_err(DbError::from)?;
        writeln!(out, "{line}")?;
        count += 1;
    }
    writeln!(out, "{}", json!({ "rows": count }))?;
    out.flush()?;
    Ok(count)
}
