//! Restores a backup into a folder: unpacks it, replays WAL up to the target in a server that only this process reaches, and
//! leaves a cluster that was shut down cleanly. Leaves what is checked in it to its callers.

pub(crate) mod applied;
mod config;
pub(crate) mod foreign;
mod library;
mod log;
pub(crate) mod logical;
pub(crate) mod outside;
pub(crate) mod password;
pub(crate) mod subscription;
mod target;
mod unpack;

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use rowhouse_db::embedded::{
    Account, ClusterPaths, EXCHANGED, EmbeddedError, RESTORING, Temporary, prepare_folder, require_binaries,
    stop_orphan, warn_of_exchanged,
};
use rowhouse_kernel::SharedClock;
use rowhouse_module::{CannotRun, Project, shell_word};
use tokio::time::Instant;
use tokio_postgres::Client;

pub(crate) use applied::{Applied, complete};
pub(crate) use library::Libraries;
pub(crate) use target::Target;

use crate::base::{Details, PROJECT_OBJECT, ProjectFile, restore_files};
use crate::manifest::{BackupId, BackupKind, Manifest};
use crate::state;
use crate::store::{BackupReader, Condition, Listed, Store};

/// Replay may take long; a server that replays nothing more for this long will not.
const REPLAY_LIMIT: Duration = Duration::from_secs(6 * 3600);

/// How long each part took, in order.
pub(crate) type Phases = Vec<(&'static str, Duration)>;

/// A cluster that was restored and is shut down.
pub(crate) struct Restored {
    pub(crate) manifest: Manifest,
    pub(crate) details: Details,
    pub(crate) paths: ClusterPaths,
    pub(crate) account: Account,
    pub(crate) phases: Phases,
    /// The last heartbeat that is in it, as PostgreSQL prints it; none without the platform's tables.
    pub(crate) heartbeat: Option<time::OffsetDateTime>,
    /// The project's migrations that it has.
    pub(crate) applied: Vec<Applied>,
    /// Those that were disabled since it is a copy.
    pub(crate) subscriptions: Vec<String>,
    /// Those that its configuration names, if it is a copy.
    pub(crate) libraries: Libraries,
}

/// What is found in a cluster once it was replayed.
struct Found {
    heartbeat: Option<time::OffsetDateTime>,
    applied: Vec<Applied>,
    subscriptions: Vec<String>,
    libraries: Libraries,
}

/// The backup to begin with: the one that is asked for, else the newest that ends before the target.
pub(crate) async fn locate(
    store: &Store,
    id: Option<&BackupId>,
    target: &Target,
) -> Result<BackupReader, CannotRun> {
    if let Some(id) = id {
        let reader = store.open_backup(id).await?;
        target.require_after(&reader.manifest)?;
        return Ok(reader);
    }
    let listed = store.list().await?;
    // What verify has found damaged is restored only by its name.
    let whole = listed.iter().filter(|listed| !listed.is_damaged());
    let good: Vec<&Manifest> = whole.filter_map(|listed| listed.manifest()).collect();
    let fit = good
        .iter()
        .rev()
        .find(|manifest| manifest.kind == BackupKind::Physical && target.require_after(manifest).is_ok());
    match (fit, good.first()) {
        (Some(manifest), _) => Ok(store.open_backup(&manifest.id).await?),
        (None, Some(first)) => Err(target.too_early(first)),
        (None, None) => Err(none(store, &listed)),
    }
}

/// Why no backup can be restored: what is wrong with the newest, such as a key that does not open it.
fn none(store: &Store, listed: &[Listed]) -> CannotRun {
    let unreadable = listed.iter().rev().find_map(|listed| match &listed.condition {
        Condition::Unreadable(error) => Some(error.to_string()),
        Condition::Good(_) | Condition::Incomplete => None,
    });
    CannotRun::because(unreadable.unwrap_or_else(|| {
        format!("no backup in {} can be restored; `rowhouse backup list` prints what is there", store.place())
    }))
}

/// Restores into a project's folder. A cluster that is there is put aside at the end, if `aside` names it anew.
pub(crate) async fn restore(
    store: &Store,
    reader: &BackupReader,
    target: &Target,
    (project, aside): (&Project, Option<&str>),
    clock: &SharedClock,
) -> Result<Restored, CannotRun> {
    let manifest = reader.manifest.clone();
    let details: Details = serde_json::from_value(manifest.details.clone())
        .map_err(|error| CannotRun::because(format!("{}: {error}", manifest.id)))?;
    require_version(&manifest.postgres_version, &manifest.id)?;
    let (paths, account) = prepare_folder(project.root())?;
    // Whoever restores here holds a lock on it, so such a server is that of one that was killed.
    stop_orphan(&paths.home.join(RESTORING)).await?;
    warn_of_exchanged(&paths.home);
    let paths = Place::of(paths, &manifest);
    let wal = target::Wal::find(store, &manifest, target).await?;
    require_room(&paths.folder, manifest.bytes() + wal.bytes())?;
    let mut phases = Phases::new();
    let begun = Instant::now();
    unpack::unpack(reader, &details, &paths.cluster.data, &account, clock).await?;
    phases.push(("unpack", begun.elapsed()));
    let begun = Instant::now();
    wal.fetch(&paths.wal, &account, clock).await?;
    phases.push(("fetch_wal", begun.elapsed()));
    let copy_of = aside.is_none().then_some(&manifest.id);
    config::write(&paths.cluster.data, &details, copy_of.is_some(), &account)?;
    let begun = Instant::now();
    let found = replay(&paths, &account, (&details, copy_of), target, wal.end()).await?;
    phases.push(("replay", begun.elapsed()));
    let cluster = paths.finish(aside)?;
    let Found { heartbeat, applied, subscriptions, libraries } = found;
    Ok(Restored {
        manifest,
        details,
        paths: cluster,
        account,
        phases,
        heartbeat,
        applied,
        subscriptions,
        libraries,
    })
}

/// Writes the project's own files, once its cluster is there.
pub(crate) async fn restore_project(reader: &BackupReader, root: &Path) -> Result<(), CannotRun> {
    restore_files(root, &project_files(reader).await?)
}

async fn project_files(reader: &BackupReader) -> Result<Vec<ProjectFile>, CannotRun> {
    let mut object = reader.object(PROJECT_OBJECT)?;
    let mut text = Vec::new();
    while let Some(bytes) = object.next().await? {
        text.extend_from_slice(&bytes);
    }
    Ok(serde_json::from_slice(&text)?)
}

/// Where a restore works.
struct Place {
    cluster: ClusterPaths,
    folder: PathBuf,
    wal: PathBuf,
}

impl Place {
    fn of(paths: ClusterPaths, manifest: &Manifest) -> Self {
        let folder = paths.home.clone();
        let log = folder.join(format!("restore-{}.log", manifest.id));
        let _of_a_former_attempt = std::fs::remove_file(&log);
        let cluster = ClusterPaths { data: folder.join(RESTORING), log, ..paths };
        let _of_a_former_attempt = std::fs::remove_dir_all(&cluster.data);
        Self { cluster, wal: folder.join("wal"), folder }
    }

    /// Gives the data directory its name.
    fn finish(self, aside: Option<&str>) -> Result<ClusterPaths, CannotRun> {
        let home = self.folder;
        let data = home.join("data");
        match aside.filter(|_| data.exists()) {
            Some(name) => {
                let between = home.join(format!("{EXCHANGED}{}", name.trim_start_matches("data.before-")));
                exchange(&home.join(RESTORING), &data, (&between, &home.join(name)))?;
            }
            None => std::fs::rename(home.join(RESTORING), &data)?,
        }
        for file in [&self.cluster.log, &home.join("access.conf")] {
            let _nothing_left_to_do = std::fs::remove_file(file);
        }
        let _nothing_left_to_do = std::fs::remove_dir_all(&self.wal);
        Ok(ClusterPaths { data, log: home.join("server.log"), ..self.cluster })
    }
}

/// Puts `restored` into the place of `data`, which becomes `aside`. At each moment there is a whole `data`: a kill in between
/// leaves the former, or has them exchanged already. Then `between` is the other: only the former data are ever named `aside`.
fn exchange(restored: &Path, data: &Path, (between, aside): (&Path, &Path)) -> std::io::Result<()> {
    std::fs::rename(restored, between)?;
    match renameat2(AT_FDCWD, between, AT_FDCWD, data, RenameFlags::RENAME_EXCHANGE) {
        Ok(()) => return std::fs::rename(between, aside),
        // The file system cannot. A kill between the next two leaves the former data under this name.
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {}
        Err(error) => return Err(error.into()),
    }
    std::fs::rename(between, restored)?;
    std::fs::rename(data, aside)?;
    std::fs::rename(restored, data)
}

fn require_version(version: &str, id: &BackupId) -> Result<(), CannotRun> {
    let major = version.split(|c: char| !c.is_ascii_digit()).next();
    let major: u32 = major.and_then(|major| major.parse().ok()).unwrap_or(0);
    require_binaries(major, &PathBuf::from(format!("backup {id}")))?;
    Ok(())
}

fn require_room(folder: &Path, bytes: u64) -> Result<(), CannotRun> {
    let found = nix::sys::statvfs::statvfs(folder)
        .map_err(|error| CannotRun::because(format!("{}: {error}", folder.display())))?;
    let free = found.blocks_available() * found.fragment_size();
    if free > bytes {
        return Ok(());
    }
    Err(CannotRun::because(format!(
        "the restored cluster needs {} MiB, and {} has {} MiB free; choose another --into",
        bytes >> 20,
        folder.display(),
        free >> 20
    )))
}

/// Replays up to the target, reads the heartbeat and the ledger of migrations, and shuts the server down.
async fn replay(
    paths: &Place,
    account: &Account,
    (details, copy_of): (&Details, Option<&BackupId>),
    target: &Target,
    end: Option<rowhouse_db::replication::Lsn>,
) -> Result<Found, CannotRun> {
    let mut settings = vec![
        ("restore_command", fetch_command(&paths.wal)),
        ("hot_standby", "on".to_owned()),
        ("recovery_target_timeline", "latest".to_owned()),
        ("recovery_target_action", "promote".to_owned()),
    ];
    // Replay needs them as large as they were, also where the original had them from its command line.
    let sizes = details.settings.iter().filter(|(name, _)| name.starts_with("max_"));
    settings.extend(sizes.map(|(name, value)| (name.as_str(), value.clone())));
    settings.extend(target.settings());
    let mut server = Temporary::start(&paths.cluster, account, &settings)?;
    let promoted = tokio::time::timeout(REPLAY_LIMIT, server.promoted(&details.superuser)).await;
    let outcome = match promoted {
        Ok(Ok(client)) => look(&client, (details, copy_of), &server).await,
        Ok(Err(EmbeddedError::Failed { log, .. })) => Err(log::explain(&log, target, end)),
        Ok(Err(other)) => Err(other.into()),
        Err(_) => Err(CannotRun::because(format!("replay has not ended within {REPLAY_LIMIT:?}"))),
    };
    server.stop().await;
    outcome
}

/// A file that is not there ends the log. One that cannot be read must not: an exit code above 125 ends recovery.
fn fetch_command(wal: &Path) -> String {
    let wal = shell_word(wal).replace('%', "%%");
    format!("test -d {wal} || exit 254; test -e {wal}/%f || exit 1; cp {wal}/%f %p || exit 254")
}

/// Also has everything on disk, so that shutting down takes no time.
async fn look(
    client: &Client,
    (details, copy_of): (&Details, Option<&BackupId>),
    server: &Temporary,
) -> Result<Found, CannotRun> {
    let failed = |error: tokio_postgres::Error| CannotRun::from(rowhouse_db::DbError::from(error));
    let project = rowhouse_db::connect(&server.url(&details.superuser, &details.database)).await?;
    let (mut subscriptions, mut libraries) = (Vec::new(), Libraries::default());
    if let Some(backup) = copy_of {
        state::mark_copy(&project, backup.as_str()).await?;
        subscriptions = subscription::disable(client, (server, &details.superuser)).await?;
        libraries = Libraries::find(client).await?;
    }
    client.batch_execute("checkpoint").await.map_err(failed)?;
    let applied = applied::read(&project).await?;
    let heartbeat = heartbeat(&project).await.map_err(failed)?;
    Ok(Found { heartbeat, applied, subscriptions, libraries })
}

/// The last one of the platform's tables, if they are there.
async fn heartbeat(client: &Client) -> Result<Option<time::OffsetDateTime>, tokio_postgres::Error> {
    let sql = "select to_regclass('rowhouse.backup_heartbeat') is not null";
    if !client.query_one(sql, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client.query_opt("select at from rowhouse.backup_heartbeat", &[]).await?;
    Ok(row.map(|row| row.get(0)))
}

#[cfg(test)]
mod tests;
