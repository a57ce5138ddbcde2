//! A schedule that a module contributes. Enqueueing is left to `rowhouse-jobs`.

/// A job enqueued periodically, in UTC, without a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltInSchedule {
    /// Its name; the project's schedules must not use it.
    pub name: &'static str,
    /// A cron pattern.
    pub cron: &'static str,
    /// The kind of the jobs.
    pub kind: &'static str,
}
