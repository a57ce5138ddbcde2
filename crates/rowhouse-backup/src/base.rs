//! Makes a physical backup: the cluster's files, the WAL that makes them consistent, and the project's own files.
//!
//! The manifest is written when all of that is in the store, so a backup whose maker died is none. Leaves receiving WAL to
//! `receiver`.

mod facts;
mod project;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rowhouse_db::replication::{BaseBackup, BasePart, Ended, Replication};
use rowhouse_kernel::SharedClock;
use rowhouse_module::{CannotRun, Project};
use tokio::time::Instant;

pub(crate) use facts::{Details, Tablespace};
pub(crate) use project::{
    OBJECT as PROJECT_OBJECT, ProjectFile, copy_files, restore_files, save as save_project,
};

use crate::error::StoreError;
use crate::lsn::segment_name;
use crate::manifest::{BackupKind, Manifest};
use crate::progress::Progress;
use crate::receiver::{Receiver, start::segment_bytes};
use crate::source::{Source, remove_slot};
use crate::state;
use crate::store::{BackupWriter, Finish, ObjectWriter, Start, Store};

/// Name of PostgreSQL's own list of the files.
pub(crate) const FILES_OBJECT: &str = "backup_manifest";
/// How long the WAL of a backup may take after the last piece of it has arrived.
const WAL_LIMIT: Duration = Duration::from_secs(120);
const WAL_POLL: Duration = Duration::from_millis(200);

/// Makes a backup of the cluster and of the project's files.
///
/// # Errors
/// With the remedy; then no backup of it is listed as good.
pub(crate) async fn create(
    receiver: &Receiver,
    project: &Project,
    label: &str,
    clock: &SharedClock,
) -> Result<Manifest, CannotRun> {
    let Receiver { source, store, .. } = receiver;
    let mut replication = source.replicate().await?;
    let identity = replication.identify().await?;
    require_own_store(store, &identity.system_id).await?;
    let segment_bytes = segment_bytes(&mut replication).await?;
    let client = source.connect().await?;
    facts::require_primary(&client, &source.slot).await?;
    let details = facts::read(&client, source.is_embedded).await?;
    warn_of_unbounded_slot(&mut replication).await?;
    let is_first = replication.ensure_slot(&source.slot).await?;
    store.ensure_wal(&identity.system_id, identity.timeline).await?;
    let cluster = Cluster { details, system_id: identity.system_id, segment_bytes };
    let made = back_up(receiver, project, (label, clock), (replication, cluster)).await;
    match made {
        Ok(manifest) => {
            // The connection from before may have been closed as idle meanwhile.
            state::want(&source.connect().await?).await?;
            Ok(manifest)
        }
        Err(error) => {
            if is_first {
                turn_off(source).await;
            }
            Err(error)
        }
    }
}

/// What is known of the cluster before its files are read.
struct Cluster {
    details: Details,
    system_id: String,
    segment_bytes: u64,
}

/// With the slot in place.
async fn back_up(
    receiver: &Receiver,
    project: &Project,
    (label, clock): (&str, &SharedClock),
    (mut replication, cluster): (Replication, Cluster),
) -> Result<Manifest, CannotRun> {
    let store = &receiver.store;
    let receiving = Receiving::start(receiver);
    let postgres_version = replication.show("server_version").await?;
    let mut backup = replication.base_backup(if label.is_empty() { "rowhouse" } else { label }).await?;
    let start = Start {
        kind: BackupKind::Physical,
        label: label.to_owned(),
        postgres_version,
        system_id: cluster.system_id.clone(),
        wal_segment_bytes: cluster.segment_bytes,
        // Compressed it is less; the store refuses before its disk is full in any case.
        expected_bytes: backup.estimated_bytes / 2,
    };
    let writer = store.begin_backup(start).await?;
    let finished = async {
        let (ended, details) = copy(&mut backup, &writer, cluster.details, clock).await?;
        let finished_at = facts::time(&receiver.source.connect().await?).await?;
        save_project(project, &writer).await?;
        let (system_id, segment_bytes) = (cluster.system_id, cluster.segment_bytes);
        let range = Range { system_id, timeline: backup.timeline, segment_bytes };
        range.wait(store, (backup.start, ended), &receiving).await?;
        Ok::<_, CannotRun>(Finish {
            timeline: backup.timeline,
            start_lsn: Some(backup.start),
            stop_lsn: Some(ended.stop),
            finished_at: Some(finished_at),
            details: serde_json::to_value(details)?,
        })
    };
    match finished.await {
        Ok(finish) => Ok(writer.commit(finish).await?),
        Err(error) => {
            // What cannot be removed now is removed by `backup prune`.
            let _incomplete_in_any_case = writer.abort().await;
            Err(error)
        }
    }
}

/// The first backup has failed or was interrupted: without one, WAL is of no use, and would only be kept.
pub(crate) async fn turn_off(source: &Source) {
    if let Err(error) = remove_slot(source).await {
        let slot = &source.slot;
        tracing::warn!("the slot {slot} stays ({error}); remove it with: rowhouse backup disable --yes");
    }
}

/// Copies the archives and the list of files, one after the other.
async fn copy(
    backup: &mut BaseBackup,
    writer: &BackupWriter,
    mut details: Details,
    clock: &SharedClock,
) -> Result<(Ended, Details), CannotRun> {
    let mut progress = Progress::new("copied", Some(backup.estimated_bytes), clock.clone());
    let mut object: Option<ObjectWriter> = None;
    loop {
        match backup.next().await? {
            BasePart::Archive(archive) => {
                finish(object.take()).await?;
                if let Some(tablespace) = Tablespace::of(&archive) {
                    details.tablespaces.push(tablespace);
                }
                object = Some(writer.object(&archive.name)?);
            }
            BasePart::Manifest => {
                finish(object.take()).await?;
                object = Some(writer.object(FILES_OBJECT)?);
            }
            BasePart::Data(bytes) => {
                let Some(object) = object.as_mut() else {
                    return Err(CannotRun::because("the server sent data of no archive"));
                };
                object.write(&bytes).await?;
                progress.add(bytes.len() as u64);
            }
            BasePart::Progress(_) => {}
            BasePart::End(ended) => {
                finish(object.take()).await?;
                progress.end();
                return Ok((ended, details));
            }
        }
    }
}

async fn finish(object: Option<ObjectWriter>) -> Result<(), StoreError> {
    match object {
        Some(object) => object.finish().await.map(drop),
        None => Ok(()),
    }
}

/// A store has the WAL of one cluster: two would be mistaken for one another in retention and at a restore.
async fn require_own_store(store: &Store, system_id: &str) -> Result<(), CannotRun> {
    let timelines = store.list_timelines().await?;
    match timelines.iter().find(|(other, _)| other != system_id) {
        None => Ok(()),
        Some((other, _)) => Err(CannotRun::because(format!(
            "the store {} has the backups of another cluster (system identifier {other}; this one has {system_id}); \
             give this cluster a backup.store of its own",
            store.place()
        ))),
    }
}

async fn warn_of_unbounded_slot(replication: &mut Replication) -> Result<(), CannotRun> {
    if replication.show("max_slot_wal_keep_size").await? == "-1" {
        tracing::warn!(
            "max_slot_wal_keep_size is -1: if nothing receives WAL, the server keeps it until its disk is full. \
             Set it, for example: alter system set max_slot_wal_keep_size = '4GB'"
        );
    }
    Ok(())
}

/// A receiver for as long as the backup takes; idle if another process has the slot.
struct Receiving(tokio::task::JoinHandle<()>, Arc<OnceLock<String>>);

impl Receiving {
    fn start(receiver: &Receiver) -> Self {
        let (receiver, why) = (receiver.clone(), Arc::new(OnceLock::new()));
        let said = Arc::clone(&why);
        let receiving = tokio::spawn(async move {
            if let Err(error) = receiver.run().await {
                let _only_one_writes = said.set(error.to_string());
            }
        });
        Self(receiving, why)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The WAL that a backup needs.
struct Range {
    system_id: String,
    timeline: u32,
    segment_bytes: u64,
}

impl Range {
    /// Returns once every segment is whole in the store: the server has begun another one at the end of the backup.
    async fn wait(
        &self,
        store: &Store,
        (start, ended): (rowhouse_db::replication::Lsn, Ended),
        receiving: &Receiving,
    ) -> Result<(), CannotRun> {
        if ended.timeline != self.timeline {
            return Err(CannotRun::because("the cluster was promoted during the backup; run it again"));
        }
        let last = rowhouse_db::replication::Lsn(ended.stop.0.saturating_sub(1)).segment(self.segment_bytes);
        let wal = store.ensure_wal(&self.system_id, self.timeline).await?;
        let (mut left, mut arrived) = (usize::MAX, Instant::now());
        loop {
            let files = wal.list().await?;
            let is_there = |name: &String| files.iter().any(|file| file.name == *name);
            let names = (start.segment(self.segment_bytes)..=last)
                .map(|number| segment_name(self.timeline, number, self.segment_bytes));
            let missing: Vec<String> = names.filter(|name| !is_there(name)).collect();
            let Some(first) = missing.first() else { return Ok(()) };
            if missing.len() < left {
                (left, arrived) = (missing.len(), Instant::now());
            }
            if let Some(why) = receiving.1.get() {
                return Err(CannotRun::because(format!(
                    "the write-ahead log of the backup is not received: {why}"
                )));
            }
            if receiving.0.is_finished() || arrived.elapsed() > WAL_LIMIT {
                return Err(CannotRun::because(format!(
                    "the write-ahead log of the backup does not arrive in {}: {first} is missing, with {} more; \
                     look at the log of whoever receives it (`rowhouse up` or `serve`), and run it again",
                    store.place(),
                    missing.len() - 1
                )));
            }
            tokio::time::sleep(WAL_POLL).await;
        }
    }
}
