//! `[log]`: what is written to standard error.

use rowhouse_kernel::settings::{Check, Findings, Settings};
use rowhouse_kernel::{settings, words};

words! {
    /// How much is logged.
    pub enum LogLevel {
        /// Failures only.
        Error = "error",
        /// And what deserves a look.
        Warn = "warn",
        /// And one line per request.
        Info = "info",
        /// And what a developer wants to see. Refused in production.
        Debug = "debug",
        /// And everything. Refused in production.
        Trace = "trace",
    }
}

settings! {
    /// Logs: JSON lines on standard error, secrets and tokens masked.
    pub struct LogSettings in "log" {
        /// The least severe level that is written.
        pub level: LogLevel = LogLevel::Info,
    }
}

impl Check for LogSettings {
    const REFUSED: &'static [(&'static str, &'static str)] =
        &[("level", "`debug` and `trace`: they may show personal data")];

    fn production(&self, _all: &Settings, findings: &mut Findings<'_>) {
        if matches!(self.level, LogLevel::Debug | LogLevel::Trace) {
            findings.refuse("level", "debug logging may show personal data");
        }
    }
}
