//! Roles, their passwords and default privileges: what has to exist before the first migration.

use postgres_protocol::password::scram_sha_256;
use rowhouse_kernel::{Secret, settings::DefaultGrants};
use tokio_postgres::Client;

use crate::error::DbError;

/// Passwords of the three logins.
#[derive(Debug, Clone)]
pub struct LoginPasswords {
    /// Of `rowhouse`; `None` leaves it as it is.
    pub control: Option<Secret>,
    /// Of `authenticator`.
    pub authenticator: Secret,
    /// Of `authenticator_service`.
    pub service: Secret,
}

/// Creates roles and grants where they are missing, in one transaction; true if there was anything to do.
///
/// # Errors
/// If the connected role may not create roles; the message says what is needed.
pub async fn bootstrap(client: &Client, passwords: &LoginPasswords) -> Result<bool, DbError> {
    let complete = include_str!("../sql/is_bootstrapped.sql");
    if client.query_one(complete, &[]).await?.get(0) {
        return Ok(false);
    }
    client.batch_execute("begin").await?;
    if let Err(error) = run(client, passwords).await {
        client.batch_execute("rollback").await?;
        return Err(error);
    }
    client.batch_execute("commit").await?;
    Ok(true)
}

async fn run(client: &Client, passwords: &LoginPasswords) -> Result<(), DbError> {
    client.batch_execute(include_str!("../sql/bootstrap.sql")).await?;
    let logins = [
        ("rowhouse", passwords.control.as_ref()),
        ("authenticator", Some(&passwords.authenticator)),
        ("authenticator_service", Some(&passwords.service)),
    ];
    for (role, password) in logins {
        let Some(password) = password else { continue };
        // The server gets the verifier, never the password; the verifier's alphabet needs no quoting.
        let verifier = scram_sha_256(password.expose().as_bytes());
        client.batch_execute(&format!("alter role {role} password '{verifier}'")).await?;
    }
    Ok(())
}

/// Brings the default privileges on the project's future tables in line with `[rest] default_grants`.
///
/// # Errors
/// If the connected role is no member of `rowhouse_project`.
pub async fn apply_default_grants(client: &Client, grants: DefaultGrants) -> Result<(), DbError> {
    let (verb, preposition) = match grants {
        DefaultGrants::Supabase => ("grant", "to"),
        DefaultGrants::None => ("revoke", "from"),
    };
    let statements: String = ["tables", "sequences"]
        .iter()
        .map(|kind| format!("alter default privileges for role rowhouse_project {verb} all on {kind} {preposition} anon, authenticated;"))
        .collect();
    client.batch_execute(&statements).await.map_err(DbError::from)
}
