//! Logs: JSON lines on standard error.

use rowhouse_kernel::settings::LogLevel;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

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
        .with_span_events(FmtSpan::NONE)
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .finish();
    // Tests start several servers in one process.
    let _installed_already = tracing::subscriber::set_global_default(subscriber);
}
