//! A schedule that a module brings along. Firing is left to `rowhouse-jobs`.

/// What is enqueued again and again, in UTC, without arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltInSchedule {
    /// Its name; the project's schedules must not use it.
    pub name: &'static str,
    /// When, as a cron pattern.
    pub cron: &'static str,
    /// The kind of the jobs.
    pub kind: &'static str,
}
