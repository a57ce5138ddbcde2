//! Tables, views and functions that callers of the data API can use without row-level security. Reported at
//! start and by `doctor` and not refused, since a table may be public on purpose.

use rowhouse_db::{DbError, DefaultGrants};
use tokio_postgres::Client;

/// One sentence for each table, view and function.
///
/// # Errors
/// The database's.
pub async fn exposures(
    client: &Client,
    schemas: &[String],
    grants: DefaultGrants,
) -> Result<Vec<String>, DbError> {
    let rows = client.query(include_str!("../sql/exposures.sql"), &[&schemas]).await?;
    let by_default = (grants == DefaultGrants::Supabase).then(|| {
        "rest.default_grants = \"supabase\": anon and authenticated may use every new table until it is protected"
            .to_owned()
    });
    Ok(by_default.into_iter().chain(rows.iter().map(|row| row.get(0))).collect())
}

#[cfg(test)]
mod tests;
