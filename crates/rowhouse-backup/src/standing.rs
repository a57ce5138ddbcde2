//! What `doctor` says of backups: whether what is wanted is also done, and whether the server keeps log that nobody fetches.

use std::time::Duration;

use rowhouse_db::DbError;
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::settings::{Adapter, BackupSettings};
use crate::source::{Unread, slot_name, unread_slots};
use crate::state;

/// A receiver that has just begun looks for the slot every few seconds; one that has failed may wait longer.
const TURN_LIMIT: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(500);

/// What is in order, in a sentence, or what is not, with the remedy.
///
/// # Errors
/// The database's.
pub async fn standing(
    client: &Client,
    is_embedded: bool,
    settings: &BackupSettings,
) -> Result<Result<String, String>, DbError> {
    if let Err(error) = state::require_whole(client).await {
        return Ok(Err(error.to_string()));
    }
    let database = client.query_one("select current_database()::text", &[]).await?;
    let slot = slot_name(is_embedded, database.get(0));
    let state = state::read_with(client, &slot).await?;
    if let Some(backup) = state.as_ref().and_then(|state| state.copy_of.as_ref()) {
        return Ok(Err(format!(
            "this database is a copy of backup {backup}, and its jobs rest; if it takes the original's place, run: rowhouse \
             backup activate --yes"
        )));
    }
    let unread = still_unread(client, &slot, settings.adapter).await?;
    if !unread.is_empty() {
        let named: Vec<String> = unread.iter().map(|one| told(one, &slot, settings.adapter)).collect();
        return Ok(Err(named.join("; ")));
    }
    if settings.adapter == Adapter::PgBackRest {
        return Ok(Ok("made by pgbackrest; `rowhouse backup list` prints them".to_owned()));
    }
    Ok(match state {
        Some(state) => match state.trouble(&slot) {
            Some(why) => Err(why),
            None if state.has_slot => Ok("on; `rowhouse backup list` prints them".to_owned()),
            None => Ok(off()),
        },
        None => Ok(off()),
    })
}

fn off() -> String {
    "off; `rowhouse backup create` turns them on".to_owned()
}

/// The slots that nobody reads, also after a while if this program is to read one of them.
async fn still_unread(client: &Client, own: &str, adapter: Adapter) -> Result<Vec<Unread>, DbError> {
    let deadline = Instant::now() + TURN_LIMIT;
    loop {
        let unread = unread_slots(client, own).await?;
        let may_be_read = adapter == Adapter::None && unread.iter().any(|one| one.name == own);
        if !may_be_read || Instant::now() >= deadline {
            return Ok(unread);
        }
        tokio::time::sleep(POLL).await;
    }
}

fn told(unread: &Unread, own: &str, adapter: Adapter) -> String {
    let Unread { name, kept_bytes } = unread;
    let kept = format!(
        "the server keeps write-ahead log for it, {} MiB by now, until its disk is full",
        kept_bytes >> 20
    );
    match (name == own, adapter) {
        (true, Adapter::PgBackRest) => format!("{}; {kept}", left_behind(name)),
        (true, Adapter::None) => format!(
            "nobody reads the replication slot {name}: {kept}; start `rowhouse up` or `serve` in this folder and read its log, \
             or turn backups off: rowhouse backup disable --yes"
        ),
        (false, _) => format!(
            "nobody reads the replication slot {name}, which is of no database that is here: {kept}; if no other project's \
             backups need it, drop it: select pg_drop_replication_slot('{name}')"
        ),
    }
}

/// Said where pgBackRest makes the backups.
pub(crate) fn left_behind(slot: &str) -> String {
    format!(
        "the replication slot {slot} is left from this program's own backups, and backup.adapter is pgbackrest: drop it with: \
         rowhouse backup disable --yes"
    )
}
