//! The state and history of mails, and operators' changes to them.

use rowhouse_db::DbError;
use serde_json::Value;
use tokio_postgres::Client;

/// A message with its recipients and their history; without the message itself.
///
/// # Errors
/// The database's.
pub async fn find(client: &Client, id: i64) -> Result<Option<Value>, DbError> {
    let row = client.query_opt(include_str!("../sql/history.sql"), &[&id]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Recipients, newest first: those in `state`, if one is given.
///
/// # Errors
/// The database's.
pub async fn list(client: &Client, state: Option<&str>, limit: i64) -> Result<Vec<Value>, DbError> {
    let rows = client.query(include_str!("../sql/list.sql"), &[&state, &limit]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Retries the recipients of a message that failed, bounced or were suppressed. Returns how many.
///
/// # Errors
/// The database's.
pub async fn retry(client: &Client, message: i64) -> Result<u64, DbError> {
    Ok(client.execute(include_str!("../sql/retry.sql"), &[&message]).await?)
}

/// Cancels the recipients of a message that are not delivered yet; an attempt under way is not stopped. Returns how many.
///
/// # Errors
/// The database's.
pub async fn cancel(client: &Client, message: i64) -> Result<u64, DbError> {
    let row = client.query_one(include_str!("../sql/cancel.sql"), &[&message]).await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}
