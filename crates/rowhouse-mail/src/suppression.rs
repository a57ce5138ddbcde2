//! Suppressed addresses, for operators.

use rowhouse_db::DbError;
use serde_json::Value;
use tokio_postgres::Client;

use crate::error::MailError;
use crate::message::read_mailbox;

/// Rows of a list.
const MOST_LISTED: i64 = 10_000;

/// All in force, newest first; the first ten thousand of them.
///
/// # Errors
/// The database's.
pub async fn list(client: &Client) -> Result<Vec<Value>, DbError> {
    let sql = "select to_jsonb(s) from mail.suppressions s \
               where expires_at is null or expires_at > clock_timestamp() order by created_at desc limit $1";
    Ok(client.query(sql, &[&MOST_LISTED]).await?.iter().map(|row| row.get(0)).collect())
}

/// Suppresses an address without expiry. Returns it as it is compared: in lower case.
///
/// # Errors
/// [`MailError::Invalid`] if it is not an address; else the database's.
pub async fn add(client: &Client, address: &str) -> Result<String, MailError> {
    let address = read_mailbox("address", address)?.email.to_string().to_lowercase();
    let sql = "insert into mail.suppressions (address, reason) values ($1, 'manual') \
               on conflict on constraint suppressions_address_reason_list_tenant_key do update set reason = 'manual', expires_at = null";
    client.execute(sql, &[&address]).await.map_err(DbError::from)?;
    Ok(address)
}

/// Ends the suppression of an address; with a list, only its unsubscription from that list. False if it was not suppressed.
///
/// # Errors
/// The database's.
pub async fn remove(client: &Client, address: &str, list: Option<&str>) -> Result<bool, DbError> {
    let sql = "delete from mail.suppressions where address = lower($1) and (list = $2 or $2::text is null)";
    Ok(client.execute(sql, &[&address, &list]).await? > 0)
}
