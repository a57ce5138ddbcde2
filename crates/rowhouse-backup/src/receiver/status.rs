//! What the receiver is doing, for metrics and the health check.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use metrics::gauge;
use rowhouse_db::replication::Lsn;

/// Shared by the receiver and who asks about it.
#[derive(Debug, Default)]
pub(crate) struct Status {
    is_receiving: AtomicBool,
    /// Where the log that the store has begins again; 0 if nothing is missing.
    gap_end: AtomicU64,
    server: AtomicU64,
    stored: AtomicU64,
    kept: AtomicI64,
    failure: Mutex<Option<String>>,
}

impl Status {
    pub(super) fn started(&self) {
        self.is_receiving.store(true, Ordering::Relaxed);
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        gauge!("rowhouse_backup_receiving").set(1.0);
    }

    pub(super) fn ended(&self) {
        self.is_receiving.store(false, Ordering::Relaxed);
        gauge!("rowhouse_backup_receiving").set(0.0);
    }

    /// It is not this process's turn.
    pub(super) fn idle(&self) {
        self.ended();
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn failed(&self, why: String) {
        self.ended();
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// WAL is missing in the store, so that older backups end before it.
    pub(super) fn gap(&self, until: Lsn) {
        self.gap_end.store(until.0, Ordering::Relaxed);
    }

    /// The newest good backup begins here, whoever has made it: behind the gap, nothing is missing for it.
    pub(crate) fn backed_up(&self, start: Lsn) {
        if start.0 >= self.gap_end.load(Ordering::Relaxed) {
            self.gap_end.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn server(&self, end: Lsn) {
        self.server.fetch_max(end.0, Ordering::Relaxed);
        self.show();
    }

    pub(super) fn stored(&self, stored: Lsn) {
        self.stored.store(stored.0, Ordering::Relaxed);
        self.show();
    }

    pub(super) fn kept(&self, bytes: i64) {
        self.kept.store(bytes, Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        gauge!("rowhouse_backup_slot_bytes").set(bytes as f64);
    }

    pub(super) fn server_lsn(&self) -> Lsn {
        Lsn(self.server.load(Ordering::Relaxed))
    }

    pub(super) fn stored_lsn(&self) -> Lsn {
        Lsn(self.stored.load(Ordering::Relaxed))
    }

    fn show(&self) {
        let lag = self.server_lsn().0.saturating_sub(self.stored_lsn().0);
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        gauge!("rowhouse_backup_wal_lag_bytes").set(lag as f64);
    }

    /// What needs attention, if anything does.
    pub(crate) fn trouble(&self) -> Result<(), String> {
        if let Some(failure) = &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(format!("no write-ahead log is received for backups: {failure}"));
        }
        match self.gap_end.load(Ordering::Relaxed) > 0 {
            true => Err("write-ahead log is missing in the store; run `rowhouse backup create`".to_owned()),
            false => Ok(()),
        }
    }
}
