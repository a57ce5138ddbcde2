//! Connections outside the pools: for commands, migrations and long-lived sessions.

mod pooler;

use std::error::Error;
use std::time::Duration;

use rowhouse_kernel::Secret;
use tokio_postgres::Client;

pub use pooler::{PoolerError, require_control_sessions, require_data_sessions, require_sessions};

use crate::error::{DbError, Reason};
use crate::session::{SET_SEARCH_PATH, SET_STANDARD_STRINGS};

/// Default of the URL's `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects for statements of the program, which name no object by the search path, and drives the connection in the
/// background.
///
/// # Errors
/// If the URL cannot be read, or no connection is established in time.
pub async fn connect(url: &Secret) -> Result<Client, DbError> {
    let client = open(url).await?;
    client.batch_execute(&format!("{SET_SEARCH_PATH}; {SET_STANDARD_STRINGS}")).await?;
    Ok(client)
}

/// The same in another database of that server.
///
/// # Errors
/// Those of [`connect`].
pub async fn connect_to(url: &Secret, database: &str) -> Result<Client, DbError> {
    let mut target = crate::url::target(url)?;
    target.config.dbname(database);
    let client = open_target(url, target).await?;
    client.batch_execute(&format!("{SET_SEARCH_PATH}; {SET_STANDARD_STRINGS}")).await?;
    Ok(client)
}

/// The same with the settings that the server gives.
async fn open(url: &Secret) -> Result<Client, DbError> {
    open_target(url, crate::url::target(url)?).await
}

async fn open_target(url: &Secret, mut target: crate::url::Target) -> Result<Client, DbError> {
    target.config.application_name("rowhouse-command");
    // tokio-postgres bounds the TCP connection only, not the server's first answer.
    let limit = target.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
    let connected = tokio::time::timeout(limit, target.connect()).await.map_err(|_| {
        DbError::Unavailable(
            format!("the database took the connection and did not answer within {limit:?}").into(),
        )
    })?;
    let (client, connection) = connected.map_err(|error| {
        let source = || error.source().map(|source| format!("{error}: {source}"));
        let why = crate::tls::explain(&error).or_else(source).unwrap_or_else(|| error.to_string());
        DbError::Unavailable(Reason::caused_by(format!("cannot connect to the database: {why}"), error))
    })?;
    require_utf8(url, connection.parameter("server_encoding"))?;
    tokio::spawn(connection);
    Ok(client)
}

/// In another encoding some texts cannot be stored, and JSON escapes beyond it fail. A pooler may not report it.
fn require_utf8(url: &Secret, encoding: Option<&str>) -> Result<(), DbError> {
    let Some(other) = encoding.filter(|encoding| *encoding != "UTF8") else { return Ok(()) };
    let database = crate::url::describe(url)?;
    Err(DbError::Unusable(
        format!(
            "the database {database} has the encoding {other}; Rowhouse needs UTF8, which is chosen when a database is \
             created: createdb -E UTF8 -T template0 NAME, or in SQL create database NAME encoding 'UTF8' template template0"
        )
        .into(),
    ))
}
