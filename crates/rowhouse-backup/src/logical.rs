//! Makes a logical backup: pg_dump of the project's database, the roles that it needs, and the project's own files.
//!
//! For servers that give no physical replication. It restores to one moment, that of its snapshot. What comes out of pg_dump
//! goes into the store without touching a disk. Leaves restoring to `restore::logical`.

mod globals;
mod program;
mod same;

use rowhouse_db::DbError;
use rowhouse_kernel::{Secret, SharedClock};
use rowhouse_module::{CannotRun, Project};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::io::AsyncReadExt;
use tokio_postgres::Client;

pub(crate) use globals::{Globals, Membership, Role, Setting};
pub(crate) use program::{Process, command, find, list_post_data, lists};

use crate::base::save_project;
use crate::manifest::{BackupKind, Manifest};
use crate::progress::Progress;
use crate::source::Source;
use crate::state;
use crate::store::{BackupWriter, Finish, Start, Store};

/// Name of pg_dump's archive, in its custom format.
pub(crate) const ARCHIVE: &str = "database.dump";
/// Name of the document with what a dump leaves to the server.
pub(crate) const GLOBALS: &str = "globals.json";
/// Bytes that are read from pg_dump at once.
const READ_BYTES: usize = 256 * 1024;
/// How long pg_dump waits for a lock, such as a migration's.
const LOCK_LIMIT: &str = "--lock-wait-timeout=300000";

/// The `details` of a logical backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Details {
    /// The database.
    pub(crate) database: String,
    /// Major version of pg_dump.
    pub(crate) pg_dump: u32,
    /// Why it is not physical.
    pub(crate) reason: String,
    /// The moment that it restores to, by the server's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) snapshot_at: OffsetDateTime,
}

/// What is dumped, and what is said about it.
pub(crate) struct Dump<'a> {
    /// The project's database.
    pub(crate) source: &'a Source,
    /// The same by another login, which reads every row.
    pub(crate) url: Option<&'a Secret>,
    pub(crate) label: &'a str,
    /// Why the backup is not physical.
    pub(crate) reason: &'a str,
}

/// Makes a dump of the database and a copy of the project's files.
///
/// # Errors
/// With the remedy; then no backup of it is listed as good.
pub(crate) async fn create(
    store: &Store,
    project: &Project,
    dump: &Dump<'_>,
    clock: &SharedClock,
) -> Result<Manifest, CannotRun> {
    let url = dump.url.unwrap_or(&dump.source.url);
    let client = rowhouse_db::connect(url).await?;
    let server = Server::read(&client).await?;
    same::require(dump, &client, &server).await?;
    state::require_whole(&client).await?;
    server.require_every_row()?;
    let (pg_dump, version) = find("pg_dump", server.version)?;
    let snapshot = Snapshot::take(&client).await?;
    let globals = Globals::read(&client).await?;
    let start = Start {
        kind: BackupKind::Logical,
        label: dump.label.to_owned(),
        postgres_version: server.full_version.clone(),
        system_id: server.system_id.clone(),
        wal_segment_bytes: 0,
        // Indexes are not in it, and the rest is compressed; the store refuses before its disk is full in any case.
        expected_bytes: server.bytes / 4,
    };
    let writer = store.begin_backup(start).await?;
    let written = async {
        write(&writer, GLOBALS, &serde_json::to_vec(&globals)?).await?;
        save_project(project, &writer).await?;
        let mut command = command(&pg_dump, url)?;
        command.args(["--format=custom", "--compress=0", "--no-password", LOCK_LIMIT]);
        command.arg(format!("--snapshot={}", snapshot.id));
        stream(Process::start(command, "pg_dump")?, &writer, clock).await
    };
    if let Err(error) = written.await {
        // What cannot be removed now is removed by `backup prune`.
        let _incomplete_in_any_case = writer.abort().await;
        return Err(error);
    }
    let details = Details {
        database: server.database,
        pg_dump: version,
        reason: dump.reason.to_owned(),
        snapshot_at: snapshot.at,
    };
    Ok(writer.commit(Finish { details: serde_json::to_value(details)?, ..Finish::default() }).await?)
}

/// Compressed by the store, which would gain nothing from what pg_dump has compressed.
async fn stream(mut pg_dump: Process, writer: &BackupWriter, clock: &SharedClock) -> Result<(), CannotRun> {
    let mut progress = Progress::new("dumped", None, clock.clone());
    let mut object = writer.object(ARCHIVE)?;
    let mut buffer = vec![0; READ_BYTES];
    while let Some(output) = pg_dump.output() {
        let read = output.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        object.write(&buffer[..read]).await?;
        progress.add(read as u64);
    }
    pg_dump.end().await?;
    object.finish().await?;
    Ok(())
}

async fn write(writer: &BackupWriter, name: &str, content: &[u8]) -> Result<(), CannotRun> {
    let mut object = writer.object(name)?;
    object.write(content).await?;
    object.finish().await?;
    Ok(())
}

/// What is known of the server and its database.
struct Server {
    version: u32,
    full_version: String,
    database: String,
    login: String,
    bytes: u64,
    /// Empty if the login may not know it.
    system_id: String,
    reads_every_row: bool,
}

impl Server {
    async fn read(client: &Client) -> Result<Self, DbError> {
        let sql =
            "select current_setting('server_version_num')::int / 10000, current_setting('server_version'),
                     current_database()::text, current_user::text, pg_database_size(current_database()),
                     has_function_privilege('pg_catalog.pg_control_system()', 'execute'),
                     (select rolsuper or rolbypassrls from pg_roles where rolname = current_user)";
        let row = client.query_one(sql, &[]).await?;
        let system_id = match row.get(5) {
            true => {
                client.query_one("select system_identifier::text from pg_control_system()", &[]).await?.get(0)
            }
            false => String::new(),
        };
        Ok(Self {
            version: u32::try_from(row.get::<_, i32>(0)).unwrap_or_default(),
            full_version: row.get(1),
            database: row.get(2),
            login: row.get(3),
            bytes: u64::try_from(row.get::<_, i64>(4)).unwrap_or_default(),
            system_id,
            reads_every_row: row.get(6),
        })
    }

    /// Policies are forced on owners, too; pg_dump would fail at the first table with a message about it.
    fn require_every_row(&self) -> Result<(), CannotRun> {
        let login = &self.login;
        match self.reads_every_row {
            true => Ok(()),
            false => Err(CannotRun::because(format!(
                "the login \"{login}\" does not read rows of every tenant, so it cannot dump them. Run as a superuser: \
                 alter role \"{login}\" bypassrls; or give backup.dump_url a login that has it"
            ))),
        }
    }
}

/// A moment of the database that other sessions can read as well, for as long as the transaction is open.
struct Snapshot {
    id: String,
    at: OffsetDateTime,
}

impl Snapshot {
    async fn take(client: &Client) -> Result<Self, DbError> {
        client
            .batch_execute(
                "begin isolation level repeatable read, read only; set local idle_in_transaction_session_timeout = 0",
            )
            .await?;
        let row = client
            .query_one("select pg_export_snapshot(), date_trunc('milliseconds', clock_timestamp())", &[])
            .await?;
        Ok(Self { id: row.get(0), at: row.get(1) })
    }
}
