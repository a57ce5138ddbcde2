//! Adoption of existing objects: they get the owner that migrations run as, so that migrations can change and protect
//! them.

use tokio_postgres::Client;

use crate::error::DbError;
use crate::migrate::exclusive;

/// An object with another owner than `rowhouse_project`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Adopted {
    /// Its identity, as PostgreSQL writes it: `table public.customers`.
    pub object: String,
    /// The former owner, which keeps all privileges as grants.
    pub former_owner: String,
}

/// Gives tables, views, sequences, functions and types of `schemas` to `rowhouse_project`, in one transaction, and
/// grants their former owners the privileges of ownership. With `dry_run` only lists them.
///
/// # Errors
/// If the connected role may not: it has to be a superuser, or a member of both owners.
pub async fn adopt(client: &Client, schemas: &[String], dry_run: bool) -> Result<Vec<Adopted>, DbError> {
    exclusive(client, async || {
        let rows = client.query(include_str!("../../sql/adoptable.sql"), &[&schemas]).await?;
        if !dry_run {
            let statements: String = rows.iter().map(|row| row.get::<_, String>(2)).collect();
            change_owners(client, schemas, &statements).await?;
        }
        Ok(rows.iter().map(|row| Adopted { object: row.get(0), former_owner: row.get(1) }).collect())
    })
    .await
}

async fn change_owners(client: &Client, schemas: &[String], statements: &str) -> Result<(), DbError> {
    client.batch_execute("begin").await?;
    for schema in schemas {
        let schema = schema.replace('"', "\"\"");
        client
            .batch_execute(&format!("grant usage, create on schema \"{schema}\" to rowhouse_project"))
            .await?;
    }
    if let Err(error) = client.batch_execute(statements).await {
        client.batch_execute("rollback").await?;
        return Err(error.into());
    }
    client.batch_execute("notify pgrst, 'reload schema'; commit").await.map_err(DbError::from)
}
