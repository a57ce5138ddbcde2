//! Which kinds of jobs a process can run, and how.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::job::Handler;

/// A kind of job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobKind {
    /// Lower case, with dots: `mail.send`.
    pub name: Arc<str>,
    /// Attempts before a job is dead.
    pub max_attempts: u16,
    /// How long one run may take.
    pub timeout: Duration,
    /// Pause after the first failure.
    pub backoff: Duration,
    /// What the pause is multiplied by after each further failure, in percent.
    pub growth: u16,
    /// The longest pause.
    pub max_backoff: Duration,
    /// Processes of an older release do not fetch such jobs.
    pub min_release: String,
    /// Concurrent runs in one process; four fifths of its slots by default, and never more than those that are not
    /// reserved for urgent kinds.
    pub concurrency: Option<usize>,
    /// People wait for it: a part of the slots is reserved for such kinds.
    pub is_urgent: bool,
}

impl JobKind {
    /// A kind with twenty attempts over about a day, five minutes each.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            max_attempts: 20,
            timeout: Duration::from_secs(300),
            backoff: Duration::from_secs(2),
            growth: 200,
            max_backoff: Duration::from_secs(2 * 3600),
            min_release: "0".to_owned(),
            concurrency: None,
            is_urgent: false,
        }
    }

    /// The pause after failed run `attempt` (from 1), before jitter.
    #[must_use]
    pub fn pause(&self, attempt: u16) -> Duration {
        let factor = (f64::from(self.growth) / 100.0).powi(i32::from(attempt.max(1)) - 1);
        let seconds = (self.backoff.as_secs_f64() * factor).min(self.max_backoff.as_secs_f64());
        Duration::from_secs_f64(seconds)
    }
}

/// Kinds and their handlers.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<Arc<str>, (JobKind, Arc<dyn Handler>)>);

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind; a later one of the same name replaces it.
    pub fn add(&mut self, kind: JobKind, handler: impl Handler) {
        self.0.insert(Arc::clone(&kind.name), (kind, Arc::new(handler)));
    }

    /// The kind of that name and its handler.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&(JobKind, Arc<dyn Handler>)> {
        self.0.get(name)
    }

    /// How many more runs of each kind could proceed now; see [`Handler::room`].
    #[must_use]
    pub fn rooms(&self) -> BTreeMap<Arc<str>, i32> {
        let room = |handler: &dyn Handler| i32::try_from(handler.room()).unwrap_or(i32::MAX);
        self.0.iter().map(|(name, (_, handler))| (Arc::clone(name), room(&**handler))).collect()
    }

    /// All kinds, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &JobKind> {
        self.0.values().map(|(kind, _)| kind)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
