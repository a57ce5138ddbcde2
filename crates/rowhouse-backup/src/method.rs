//! Whether a backup is physical or logical, and why. Leaves making either to `base` and `logical`.

use std::sync::Arc;

use rowhouse_db::replication::is_withheld;
use rowhouse_db::{DbError, connect};
use rowhouse_kernel::SharedClock;
use rowhouse_module::{CannotRun, Project};

use crate::logical::Dump;
use crate::manifest::Manifest;
use crate::receiver::{Receiver, Status, save_interval};
use crate::settings::{BackupMethod, BackupSettings};
use crate::source::{SlotState, Source, slot_state};
use crate::store::Store;
use crate::{base, logical};

/// How a backup is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Method {
    /// The files of the cluster and its write-ahead log.
    Physical,
    /// A dump.
    Logical {
        /// Why.
        reason: String,
    },
}

/// As the settings say. Where they leave it open, a dump is made if the server gives no write-ahead log, and never did: a
/// cluster with a slot keeps its log, and a dump would not be what it is kept for.
pub(crate) async fn choose(settings: &BackupSettings, source: &Source) -> Result<Method, CannotRun> {
    match settings.method {
        BackupMethod::Physical => return Ok(Method::Physical),
        BackupMethod::Logical => {
            return Ok(Method::Logical { reason: "backup.method is logical".to_owned() });
        }
        BackupMethod::Auto => {}
    }
    let client = connect(&source.url).await?;
    if slot_state(&client, &source.slot).await.map_err(DbError::from)? != SlotState::Missing {
        return Ok(Method::Physical);
    }
    let level: String = client.query_one("show wal_level", &[]).await.map_err(DbError::from)?.get(0);
    if level == "minimal" {
        let reason =
            "wal_level is minimal: set it to replica, and max_wal_senders to 10, and restart the server";
        return Ok(Method::Logical { reason: reason.to_owned() });
    }
    match source.replicate().await {
        Err(error) if is_withheld(&error) => Ok(Method::Logical { reason: error.to_string() }),
        replicated => Ok(replicated.map(|_| Method::Physical)?),
    }
}

/// What a backup is made of.
pub(crate) struct Making<'a> {
    pub(crate) settings: &'a BackupSettings,
    pub(crate) source: &'a Source,
    pub(crate) store: &'a Store,
    pub(crate) project: &'a Project,
    pub(crate) clock: &'a SharedClock,
}

impl Making<'_> {
    /// Makes it.
    pub(crate) async fn create(&self, method: &Method, label: &str) -> Result<Manifest, CannotRun> {
        let Self { settings, source, store, project, clock } = self;
        match method {
            Method::Logical { reason } => {
                let dump = Dump { source, url: settings.dump_url.as_ref(), label, reason };
                logical::create(store, project, &dump, clock).await
            }
            Method::Physical => {
                let receiver = Receiver {
                    source: (*source).clone(),
                    store: (*store).clone(),
                    status: Arc::new(Status::default()),
                    save_interval: save_interval(settings),
                };
                base::create(&receiver, project, label, clock).await
            }
        }
    }
}
