//! Connections outside the pools: for commands, migrations and long-lived sessions.

mod pooler;

use std::error::Error;
use std::time::Duration;

use rowhouse_kernel::Secret;
use tokio_postgres::Client;

pub use pooler::{PoolerError, require_sessions};

use crate::error::{DbError, Reason};

/// Default of the URL's `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects and drives the connection in the background.
///
/// # Errors
/// If the URL cannot be read, or no connection is established in time.
pub async fn connect(url: &Secret) -> Result<Client, DbError> {
    let target = crate::url::target(url)?;
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
    tokio::spawn(connection);
    Ok(client)
}
