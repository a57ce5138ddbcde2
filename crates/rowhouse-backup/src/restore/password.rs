//! Passwords of a restored cluster's logins. Leaves when they are needed to its callers: a cluster that `up` has created has them.

use rowhouse_db::DbError;
use rowhouse_module::{CannotRun, Secrets};
use tokio_postgres::Client;

/// Gives the logins that are there the project's own, with which `up` signs in.
pub(crate) async fn set(client: &Client, secrets: &Secrets) -> Result<(), CannotRun> {
    // The lines of access that it gets take no other.
    let hash = "set password_encryption = 'scram-sha-256'";
    client.batch_execute(hash).await.map_err(DbError::from)?;
    for (role, password) in [
        ("postgres", &secrets.postgres),
        ("rowhouse", &secrets.rowhouse),
        ("authenticator", &secrets.authenticator),
        ("authenticator_service", &secrets.authenticator_service),
    ] {
        let sql =
            "select format('alter role %I password %L', $1::text, $2::text) from pg_roles where rolname = $1";
        let found = client.query_opt(sql, &[&role, &password.expose()]).await.map_err(DbError::from)?;
        if let Some(row) = found {
            client.batch_execute(row.get(0)).await.map_err(DbError::from)?;
        }
    }
    Ok(())
}
