//! Sealing: linking entries whose transactions have committed. When it is done is left to the module.

use rowhouse_db::DbError;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// Most entries that one step links.
pub const BATCH: i32 = 1_000;

/// What a step has done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Entries that it has linked; [`BATCH`] means that there may be more.
    pub sealed: i32,
    /// Age of the oldest entry that is left, in seconds; 0 if there is none.
    pub waiting_seconds: f64,
}

/// One step, which is a transaction of its own. Of several processes one does it; the others link nothing meanwhile.
///
/// # Errors
/// The database's.
pub async fn seal(client: &Client) -> Result<Step, DbError> {
    let sql = "select sealed, waiting_seconds from audit.seal($1)";
    let row = client.query_typed_one(sql, &[(&BATCH, Type::INT4)]).await?;
    Ok(Step { sealed: row.try_get(0)?, waiting_seconds: row.try_get(1)? })
}
