//! Logs: JSON lines on standard error.

mod buffer;

use std::sync::OnceLock;

use rowhouse_kernel::settings::LogLevel;
use tracing_subscriber::filter::LevelFilter;

use buffer::LineBuffer;

static LINES: OnceLock<LineBuffer> = OnceLock::new();

/// Writes out what is still gathered; the program's last word.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.drain();
    }
}

/// Installs the subscriber; the first call wins.
///
/// Nothing secret is ever given to it: secrets are `Secret` (masked), queries are logged without values, paths
/// without their query string.
pub(crate) fn install(level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_max_level(level)
        .with_writer(LINES.get_or_init(LineBuffer::start).clone())
        .finish();
    // Tests start several servers in one process.
    let _installed_already = tracing::subscriber::set_global_default(subscriber);
}
