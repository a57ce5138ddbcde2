//! A project with a store, and backups to put into it. Leaves what is asserted to the tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rowhouse_backup::{
    BackupId, BackupKind, BackupSettings, Finish, Identity, Lsn, Manifest, Start, Store, StoreError,
    ensure_server_key,
};
use rowhouse_kernel::{FakeClock, Rng, SeededRng};
use rowhouse_module::Project;
use tempfile::TempDir;
use time::macros::datetime;

pub(crate) const SYSTEM: &str = "7301234567890123456";
pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const CHUNK: usize = 64 * 1024;

pub(crate) struct Scene {
    folder: TempDir,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) rng: Arc<SeededRng>,
    pub(crate) settings: BackupSettings,
    pub(crate) escrow: Identity,
}

impl Scene {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = SeededRng::new(seed);
        let escrow = Identity::generate(&*rng).unwrap();
        let settings = BackupSettings {
            escrow: vec![escrow.recipient().to_string()],
            chunk_bytes: CHUNK as u64,
            min_free_bytes: 0,
            ..BackupSettings::default()
        };
        let clock = FakeClock::at(datetime!(2026-11-28 02:00 UTC));
        Self { folder: TempDir::new().unwrap(), clock, rng, settings, escrow }
    }

    pub(crate) fn project(&self) -> Project {
        Project::open(self.folder.path()).unwrap()
    }

    pub(crate) fn store(&self) -> Store {
        let rng: rowhouse_kernel::SharedRng = self.rng.clone();
        self.store_with(ensure_server_key(&self.settings, &self.project(), &rng).unwrap())
    }

    pub(crate) fn store_with(&self, identity: Identity) -> Store {
        let (clock, rng) = (self.clock.clone(), self.rng.clone());
        Store::open_with(&self.settings, &self.project(), identity, clock, rng).unwrap()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().join(".rowhouse/backups")
    }

    pub(crate) fn bytes(&self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.rng.fill(&mut bytes);
        // Half of it compresses.
        bytes.iter_mut().skip(length / 2).for_each(|byte| *byte &= 3);
        bytes
    }
}

pub(crate) fn start() -> Start {
    Start {
        kind: BackupKind::Physical,
        label: "nightly".to_owned(),
        postgres_version: "15.14".to_owned(),
        system_id: SYSTEM.to_owned(),
        wal_segment_bytes: 16 * MIB,
        expected_bytes: 0,
    }
}

pub(crate) fn finish(from: u64, to: u64) -> Finish {
    let (start_lsn, stop_lsn) = (Some(Lsn(from)), Some(Lsn(to)));
    let details = serde_json::json!({ "tablespaces": [] });
    Finish { timeline: 1, start_lsn, stop_lsn, details, ..Finish::default() }
}

/// A backup of the objects, with one segment of log for each from its start to its end.
pub(crate) async fn back_up(store: &Store, objects: &[(&str, Vec<u8>)], segments: (u64, u64)) -> Manifest {
    let writer = store.begin_backup(start()).await.unwrap();
    for (name, content) in objects {
        let mut object = writer.object(name).unwrap();
        for piece in content.chunks(10_000) {
            object.write(piece).await.unwrap();
        }
        object.finish().await.unwrap();
    }
    let wal = store.ensure_wal(SYSTEM, 1).await.unwrap();
    for segment in segments.0..=segments.1 {
        let name = rowhouse_backup::segment_name(1, segment, 16 * MIB);
        wal.put(&name, format!("log of {name}").repeat(99).into()).await.unwrap();
    }
    let (from, to) = (segments.0 * 16 * MIB + 40, segments.1 * 16 * MIB + 80);
    writer.commit(finish(from, to)).await.unwrap()
}

pub(crate) async fn read(store: &Store, id: &BackupId, object: &str) -> Result<Vec<u8>, StoreError> {
    let mut reader = store.open_backup(id).await?.object(object)?;
    let mut content = Vec::new();
    while let Some(bytes) = reader.next().await? {
        content.extend_from_slice(&bytes);
    }
    Ok(content)
}

/// Every file of a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort_unstable();
    found
}
