//! Detects poolers in transaction mode, which assign a server session per transaction, so that prepared statements,
//! LISTEN, settings and advisory locks are lost or leak between clients.

use std::time::Duration;

use rowhouse_kernel::Secret;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::open;
use crate::database::DatabaseUrls;
use crate::error::{DbError, SHARES_SESSIONS};
use crate::flight::DataPlaneUrls;

/// Poolers reuse the most recently released session; on a busy one another client may get it first, but not every time.
const ROUNDS: usize = 5;
/// How long all of them may take for one URL.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PoolerError {
    /// The pooler assigns a session per transaction or statement.
    #[error("{setting} leads to a connection pooler that {SHARES_SESSIONS}")]
    SharedSessions {
        /// The setting at fault.
        setting: &'static str,
    },
    /// The database does not answer.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Refuses URLs that lead to a pooler in transaction or statement mode.
///
/// # Errors
/// Which setting is at fault; or the database's.
pub async fn require_sessions(urls: &DatabaseUrls) -> Result<(), PoolerError> {
    require_control_sessions(urls).await?;
    require_data_sessions(&urls.data).await
}

/// The part of [`require_sessions`] that can be asked before the data plane's logins exist.
///
/// # Errors
/// Those of [`require_sessions`].
pub async fn require_control_sessions(urls: &DatabaseUrls) -> Result<(), PoolerError> {
    if urls.direct.expose() != urls.control.expose() {
        require("db.direct_url", &urls.direct).await?;
    }
    require("db.url", &urls.control).await
}

/// The other part.
///
/// # Errors
/// Those of [`require_sessions`].
pub async fn require_data_sessions(urls: &DataPlaneUrls) -> Result<(), PoolerError> {
    require("db.authenticator_url", &urls.authenticator).await?;
    require("db.authenticator_service_url", &urls.service).await
}

async fn require(setting: &'static str, url: &Secret) -> Result<(), PoolerError> {
    let limited = tokio::time::timeout(TIMEOUT, shares_sessions(url)).await;
    let silent = |_| DbError::Unavailable(format!("{setting}: no answer within {TIMEOUT:?}").into());
    if limited.map_err(silent)?? { Err(PoolerError::SharedSessions { setting }) } else { Ok(()) }
}

/// Two connections open at the same time have different backends, and each keeps its own, unless a pooler shares
/// them.
async fn shares_sessions(url: &Secret) -> Result<bool, DbError> {
    // Nothing is set: somebody else may get the session next.
    let mut pair = (open(url).await?, open(url).await?);
    for _ in 0..ROUNDS {
        let (one, other) = &pair;
        let first = backend(one).await?;
        match other.batch_execute("begin").await {
            // PgBouncer's answer in statement mode.
            Err(error) if error.code() == Some(&SqlState::PROTOCOL_VIOLATION) => return Ok(true),
            begun => begun?,
        }
        if backend(other).await? == first || backend(one).await? != first {
            return Ok(true);
        }
        other.batch_execute("commit").await?;
        pair = (pair.1, pair.0);
    }
    Ok(false)
}

/// By the simple protocol, which needs no prepared statement.
async fn backend(client: &Client) -> Result<String, DbError> {
    let messages = client.simple_query("select pg_backend_pid()").await?;
    let pid = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    pid.ok_or_else(|| DbError::Protocol("no process id".into()))
}
