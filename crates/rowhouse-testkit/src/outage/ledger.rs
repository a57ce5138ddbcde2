//! Records what was submitted, accepted and received, and what was in delivery at kills.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio::sync::Notify;

use super::sink::Taken;

/// Shared by senders, sink and campaign.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Mutex<Entries>,
    changed: Notify,
}

/// Mails go by their numbers.
#[derive(Debug, Default, Clone)]
pub(super) struct Entries {
    /// Accepted.
    pub(super) accepted: BTreeSet<u32>,
    /// Submitted without an answer, and submitted again afterwards.
    pub(super) unanswered: BTreeSet<u32>,
    /// Submissions that were refused, and repeated.
    pub(super) refused: usize,
    /// The Message-IDs under which it arrived, once for each time.
    pub(super) arrived: BTreeMap<u32, Vec<String>>,
    /// In delivery to the sink at a kill.
    pub(super) in_flight: BTreeMap<u32, String>,
    pub(super) trouble: Option<String>,
}

/// A mail that arrived more than once.
#[derive(Debug, Clone, Serialize)]
pub struct Duplicate {
    /// Its number.
    pub mail: u32,
    /// Its Message-IDs; one if correct.
    pub message_ids: BTreeSet<String>,
    /// How often.
    pub times: usize,
    /// Why it is allowed: the step it was in at a kill.
    pub in_flight: Option<String>,
}

impl Ledger {
    pub(super) fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the entries and wakes waiters.
    pub(super) fn note(&self, change: impl FnOnce(&mut Entries)) {
        change(&mut self.entries());
        self.changed.notify_waiters();
    }

    pub(super) fn took(&self, taken: Taken) {
        match number(&taken.subject) {
            Some(mail) => {
                self.note(|entries| entries.arrived.entry(mail).or_default().push(taken.message_id));
            }
            None => self.stumbled(&anyhow::anyhow!("a mail that nobody sent: {taken:?}")),
        }
    }

    pub(super) fn stumbled(&self, error: &anyhow::Error) {
        self.note(|entries| entries.trouble = Some(format!("{error:#}")));
    }

    /// Waits until the entries satisfy a condition.
    pub(super) async fn until(
        &self,
        what: &str,
        timeout: Duration,
        is_so: impl Fn(&Entries) -> bool,
    ) -> Result<()> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                {
                    let entries = self.entries();
                    if let Some(trouble) = &entries.trouble {
                        bail!("{trouble}");
                    }
                    if is_so(&entries) {
                        return Ok(());
                    }
                }
                changed.await;
            }
        };
        tokio::time::timeout(timeout, wait)
            .await
            .with_context(|| format!("{what}: not within {timeout:?}"))?
    }
}

impl Entries {
    /// Accepted and never received.
    pub(super) fn lost(&self) -> Vec<u32> {
        self.accepted.iter().filter(|mail| !self.arrived.contains_key(mail)).copied().collect()
    }

    pub(super) fn duplicates(&self) -> Vec<Duplicate> {
        let several = self.arrived.iter().filter(|(_, ids)| ids.len() > 1);
        several
            .map(|(mail, ids)| Duplicate {
                mail: *mail,
                message_ids: ids.iter().cloned().collect(),
                times: ids.len(),
                in_flight: self.excuse(*mail),
            })
            .collect()
    }

    fn excuse(&self, mail: u32) -> Option<String> {
        let unanswered = || self.unanswered.contains(&mail).then(|| "being handed in at a kill".to_owned());
        self.in_flight.get(&mail).cloned().or_else(unanswered)
    }
}

/// Conversion between a mail's number and its subject.
pub(super) fn subject(mail: u32) -> String {
    format!("outage {mail}")
}

pub(super) fn number(subject: &str) -> Option<u32> {
    subject.strip_prefix("outage ")?.parse().ok()
}
