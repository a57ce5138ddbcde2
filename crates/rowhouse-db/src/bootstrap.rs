//! Bootstrap before the first migration: roles, their passwords and default privileges.
//!
//! Roles belong to the whole server. Existing ones are never changed: another database may rely on them.

mod adopt;
mod login;
mod shared;
mod unprepared;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

pub use adopt::{Adopted, adopt};
pub use login::{LoginError, Logins, require_sign_in, restore_logins, set_passwords};
pub use shared::Shared;
pub use unprepared::{NotPrepared, Unprepared, require_prepared};

use crate::error::DbError;
use crate::migrate::exclusive;
use crate::settings::DefaultGrants;

/// What to do with a database that has objects of other roles, which lose CONNECT and the schema `public` unless
/// granted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Refuse and say what would change.
    Refuse,
    /// The operator has agreed, or the server is embedded.
    Accept,
}

/// Why a database was not prepared; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// Other roles use the database, too.
    #[error(transparent)]
    Shared(Shared),
    /// The server has the roles, and this database not the grants, which the connected role may not give.
    #[error(transparent)]
    Unprepared(Unprepared),
    /// A login of that name exists and cannot be used.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// PostgreSQL refused, or is not available.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<tokio_postgres::Error> for BootstrapError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Creates roles and grants where they are missing, in one transaction; true if there was anything to do. New logins
/// get the given passwords; existing ones keep theirs.
///
/// # Errors
/// See [`BootstrapError`]; also if the connected role may not create roles.
pub async fn bootstrap(client: &Client, logins: &Logins, sharing: Sharing) -> Result<bool, BootstrapError> {
    exclusive(client, async || {
        if is_complete(client, logins).await? {
            return Ok(false);
        }
        if sharing == Sharing::Refuse
            && let Some(shared) = Shared::find(client).await?
        {
            return Err(BootstrapError::Shared(shared));
        }
        let present = login::present(client, logins).await?;
        login::require_known_passwords(logins, &present).await?;
        client.batch_execute("begin").await?;
        let done = run(client, logins, &present).await;
        // A grant by somebody who may not is a warning and does nothing.
        let error = match done {
            Ok(()) if is_complete(client, logins).await? => {
                client.batch_execute("commit").await?;
                return Ok(true);
            }
            Ok(()) => None,
            Err(error) if error.code() == Some(SqlState::INSUFFICIENT_PRIVILEGE.code()) => Some(error),
            Err(error) => {
                client.batch_execute("rollback").await?;
                return Err(error.into());
            }
        };
        client.batch_execute("rollback").await?;
        Err(refused(client, logins, error).await?)
    })
    .await
}

/// Why the connected role could not prepare the database.
async fn refused(
    client: &Client,
    logins: &Logins,
    error: Option<DbError>,
) -> Result<BootstrapError, BootstrapError> {
    let unprepared = Unprepared::find(client, logins.of_data_plane()).await?;
    Ok(match (unprepared, error) {
        (Some(unprepared), _) => BootstrapError::Unprepared(unprepared),
        (None, Some(error)) => error.into(),
        (None, None) => DbError::Protocol("the roles were created and are not there".into()).into(),
    })
}

async fn is_complete(client: &Client, logins: &Logins) -> Result<bool, DbError> {
    let row = client
        .query_one(
            include_str!("../sql/is_bootstrapped.sql"),
            &[&logins.authenticator.name, &logins.service.name],
        )
        .await?;
    Ok(row.get(0))
}

async fn run(client: &Client, logins: &Logins, present: &[String]) -> Result<(), DbError> {
    let names = "select set_config('rowhouse.authenticator', $1, true), set_config('rowhouse.authenticator_service', $2, true)";
    client.execute(names, &[&logins.authenticator.name, &logins.service.name]).await?;
    client.batch_execute(include_str!("../sql/roles.sql")).await?;
    client.batch_execute(&unprepared::statements(client, logins.of_data_plane()).await?.join(";\n")).await?;
    client.batch_execute(include_str!("../sql/default_privileges.sql")).await?;
    for login in logins.iter().filter(|login| !present.contains(&login.name)) {
        login::set_password(client, login).await?;
    }
    Ok(())
}

/// Gives a database that was just made what migrations need, on a server that has the roles. No login of the data plane
/// may connect to it.
///
/// # Errors
/// If the connected role is neither its owner nor a superuser.
pub async fn prepare_scratch(client: &Client) -> Result<(), DbError> {
    let statements = unprepared::statements(client, ["rowhouse", "rowhouse"]).await?;
    client.batch_execute(&statements.join(";\n")).await?;
    client.batch_execute(include_str!("../sql/default_privileges.sql")).await.map_err(DbError::from)
}

/// Brings the default privileges on the project's future tables in line with `[rest] default_grants`.
///
/// # Errors
/// If the connected role is not a member of `rowhouse_project`.
pub async fn apply_default_grants(client: &Client, grants: DefaultGrants) -> Result<(), DbError> {
    let (verb, preposition) = match grants {
        DefaultGrants::Supabase => ("grant", "to"),
        DefaultGrants::None => ("revoke", "from"),
    };
    let statements: String = ["tables", "sequences"]
        .iter()
        .map(|kind| format!("alter default privileges for role rowhouse_project {verb} all on {kind} {preposition} anon, authenticated;"))
        .collect();
    // Serialized, since two concurrent runs would fail by updating the same catalog row.
    exclusive(client, async || client.batch_execute(&statements).await.map_err(DbError::from)).await
}
