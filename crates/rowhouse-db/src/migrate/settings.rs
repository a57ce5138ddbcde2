//! `[migrate]`: what migrations may cost.

use std::time::Duration;

use rowhouse_kernel::settings;
use rowhouse_kernel::settings::{Check, Findings};

/// A gibibyte.
const STANDARD_WAL_BYTES: u64 = 1024 * 1024 * 1024;
/// Enough that a table that is read as a whole shows it.
const STANDARD_ROWS: u64 = 1_000_000;

settings! {
    /// Migrations of the project.
    pub struct MigrateSettings in "migrate" {
        /// How long a migration may hold requests up, unless its head says otherwise (`-- rowhouse: lock-budget 500ms`): a statement waits for a lock that long before the file gives way, and `migrate trace` fails beyond it.
        pub lock_budget: Duration = super::source::STANDARD_BUDGET,
        /// Write-ahead log that one migration may write in `migrate trace`; zero for any amount.
        pub wal_budget_bytes: u64 as "bytes" = STANDARD_WAL_BYTES,
        /// Rows of each table that `migrate trace` copies at most; for larger tables it estimates.
        pub trace_rows: u64 as "rows" = STANDARD_ROWS,
    }
}

impl Check for MigrateSettings {
    fn check(&self, findings: &mut Findings<'_>) {
        findings.positive_span("lock_budget", self.lock_budget);
    }
}
