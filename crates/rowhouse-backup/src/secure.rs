//! Brings the WAL up to now into the store before a restore, if the cluster answers: what was committed by the time that is
//! asked for must be there, and something committed after it, or replay does not know that it has reached it.

use std::time::Duration;

use rowhouse_db::replication::Lsn;
use rowhouse_module::CannotRun;
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::receiver::Receiver;
use crate::source::{SlotState, slot_state};

const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// Whether the cluster's WAL was brought into the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secured {
    /// Up to the present.
    Yes,
    /// The cluster does not answer, or backups are off: the store has what it has.
    No,
}

/// Commits something, and waits until that is in the store.
pub(crate) async fn secure(receiver: &Receiver) -> Result<Secured, CannotRun> {
    let Ok(client) = receiver.source.connect().await else { return Ok(Secured::No) };
    match slot_state(&client, &receiver.source.slot).await.map_err(rowhouse_db::DbError::from)? {
        SlotState::Missing | SlotState::Lost => return Ok(Secured::No),
        SlotState::Free { .. } | SlotState::InUse { .. } => {}
    }
    let identity = receiver.source.replicate().await?.identify().await?;
    if !receiver.store.has_log_of(&identity.system_id).await? {
        return Ok(Secured::No);
    }
    let end = commit(&client).await.map_err(rowhouse_db::DbError::from)?;
    wait(receiver, &client, end).await?;
    Ok(Secured::Yes)
}

/// A transaction with an id of its own, whose commit is written.
async fn commit(client: &Client) -> Result<Lsn, tokio_postgres::Error> {
    client.query_one("select pg_current_xact_id()::text", &[]).await?;
    let end = client.query_one("select pg_current_wal_insert_lsn()::text", &[]).await?;
    Ok(end.get::<_, &str>(0).parse().unwrap_or_default())
}

/// Waits until everything before `end` is in the store; receives itself if nobody else does.
pub(crate) async fn wait(receiver: &Receiver, client: &Client, end: Lsn) -> Result<(), CannotRun> {
    let waiting = async {
        let begun = Instant::now();
        loop {
            let sql = "select coalesce(pg_wal_lsn_diff($2::text::pg_lsn, restart_lsn) <= 0, false) \
                       from pg_replication_slots where slot_name = $1";
            let row = client.query_opt(sql, &[&receiver.source.slot, &end.to_string()]).await;
            if row.map_err(rowhouse_db::DbError::from)?.is_some_and(|row| row.get(0)) {
                return Ok(());
            }
            if begun.elapsed() > LIMIT {
                return Err(CannotRun::because(format!(
                    "the write-ahead log up to {end} does not arrive in {} within {LIMIT:?}; look at the log of \
                     whoever receives it (`rowhouse up` or `serve`)",
                    receiver.store.place()
                )));
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::select! {
        waited = waiting => waited,
        ended = receiver.run() => match ended {
            Ok(()) => Err(CannotRun::because("backups were turned off meanwhile")),
            Err(error) => Err(CannotRun::because(error.to_string())),
        },
    }
}
