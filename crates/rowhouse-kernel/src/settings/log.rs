//! `[log]`: what is written to standard error.

use super::{settings, value::words};

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
