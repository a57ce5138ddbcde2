//! Extensions that migrations request in their header. Most may only be created by a superuser, which the owner of a
//! project's tables is not.

use tokio_postgres::Client;

use super::{MigrateError, Migration};
use crate::error::DbError;

/// Creates the extensions that `migrations` ask for and the database does not have, with the rights of `client`.
///
/// # Errors
/// [`MigrateError::Extension`] names what an administrator has to run.
pub async fn create_extensions(client: &Client, migrations: &[Migration]) -> Result<(), MigrateError> {
    for (migration, name) in missing(client, migrations).await? {
        let failed = |error: tokio_postgres::Error| MigrateError::Extension {
            name: migration.name.clone(),
            extension: name.clone(),
            cause: DbError::from(error),
        };
        let row = client
            .query_opt(include_str!("../../sql/extension_schema.sql"), &[&name])
            .await
            .map_err(failed)?;
        // An extension that prescribes its schema accepts no other.
        let schema = match row.and_then(|row| row.get::<_, Option<String>>(0)) {
            Some(_) => "",
            None => "schema extensions",
        };
        let create = format!("create extension if not exists \"{name}\" {schema}");
        client.batch_execute(&create).await.map_err(failed)?;
        tracing::info!(extension = name, "extension created");
    }
    Ok(())
}

/// The requested extensions that are missing.
pub(super) async fn missing<'a>(
    client: &Client,
    migrations: &'a [Migration],
) -> Result<Vec<(&'a Migration, String)>, MigrateError> {
    let mut missing = wanted(migrations);
    for at in (0..missing.len()).rev() {
        let there = "select exists (select from pg_extension where extname = $1)";
        if client.query_one(there, &[&missing[at].1]).await?.get(0) {
            missing.remove(at);
        }
    }
    Ok(missing)
}

/// Each extension once, with the first migration that requests it.
fn wanted(migrations: &[Migration]) -> Vec<(&Migration, String)> {
    let mut wanted: Vec<(&Migration, String)> = Vec::new();
    for migration in migrations {
        for name in migration.extensions() {
            if wanted.iter().all(|(_, known)| known != name) {
                wanted.push((migration, name.to_owned()));
            }
        }
    }
    wanted
}
