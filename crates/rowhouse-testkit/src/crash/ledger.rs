//! Records what clients sent and what was acknowledged, and compares it with what is stored.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;

/// Shared by all clients.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Entries>);

#[derive(Debug, Default, Clone)]
pub(super) struct Entries {
    pub(super) sent: HashSet<String>,
    pub(super) inserted: HashSet<String>,
    pub(super) done: HashSet<String>,
    pub(super) signed_up: HashSet<String>,
    pub(super) refused: usize,
    pub(super) slowest: Duration,
    pub(super) lost: Vec<String>,
    /// Neither an acknowledgement nor a clear refusal.
    pub(super) unexpected: Vec<String>,
}

/// What was found in the database.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) titles: Vec<String>,
    pub(super) done: HashSet<String>,
    pub(super) addresses: HashSet<String>,
}

impl Ledger {
    pub(super) fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Records an answer; true if it acknowledges. Without a database the server refuses with 503 or 504, a killed
    /// one resets connections.
    pub(super) fn take(
        &mut self,
        what: &str,
        took: Duration,
        answer: &reqwest::Result<(StatusCode, String)>,
    ) -> bool {
        self.slowest = self.slowest.max(took);
        match answer {
            Ok((status, _)) if status.is_success() => return true,
            Ok((StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT, _)) => self.refused += 1,
            Ok((status, text)) => self.unexpected.push(format!("{what}: {status} {text}")),
            Err(error) if error.is_timeout() => {
                self.unexpected.push(format!("{what}: no answer after {took:?}"));
            }
            Err(_) => self.refused += 1,
        }
        false
    }

    /// Acknowledged entries that are missing in `found`.
    pub(super) fn missing(&self, found: &Found) -> Vec<String> {
        let titles: HashSet<&String> = found.titles.iter().collect();
        let inserts = self
            .inserted
            .iter()
            .filter(|marker| !titles.contains(marker))
            .map(|marker| format!("insert {marker}"));
        let updates = self.done.difference(&found.done).map(|marker| format!("update {marker}"));
        let users = self.signed_up.difference(&found.addresses).map(|address| format!("sign-up {address}"));
        inserts.chain(updates).chain(users).collect()
    }

    /// Rows that nobody sent, or that were written twice.
    pub(super) fn surplus(&self, found: &Found) -> Vec<String> {
        let mut seen = HashSet::new();
        found
            .titles
            .iter()
            .filter(|title| !self.sent.contains(*title) || !seen.insert(*title))
            .cloned()
            .collect()
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.inserted.len() + self.done.len() + self.signed_up.len()
    }
}
