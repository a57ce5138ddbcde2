//! What reads columns in a database that can be reached.

use rowhouse_db::DbError;
use tokio_postgres::Client;

use crate::known::Reader;

/// Functions, views and policies of the project's schemas.
///
/// # Errors
/// The database's.
pub async fn readers(client: &Client) -> Result<Vec<Reader>, DbError> {
    let rows = client.query(include_str!("../sql/readers.sql"), &[]).await?;
    let read = |row: &tokio_postgres::Row| Reader {
        object: row.get(0),
        text: row.get::<_, Option<String>>(1).unwrap_or_default(),
    };
    Ok(rows.iter().map(read).collect())
}
