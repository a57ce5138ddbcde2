//! Logs on standard error: readable lines on a terminal, JSON lines everywhere else.

mod buffer;
mod settings;

use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_subscriber::filter::LevelFilter;

use buffer::LineBuffer;
pub use settings::{LogLevel, LogSettings};

static LINES: OnceLock<LineBuffer> = OnceLock::new();

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people; in colour on a terminal, unless NO_COLOR is set
    Text,
    /// One JSON object a line
    Json,
}

impl LogFormat {
    /// The default format.
    fn of_standard_error() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Writes buffered lines; called at exit.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.drain();
    }
}

/// Installs the subscriber; the first call wins.
///
/// Nothing secret is ever given to it: secrets are `Secret` (masked), queries are logged without values, paths
/// without their query string.
pub(crate) fn install(level: LogLevel, format: Option<LogFormat>) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let lines = LINES.get_or_init(LineBuffer::start).clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(lines);
    // Tests start several servers in one process.
    let _installed_already = match format.unwrap_or_else(LogFormat::of_standard_error) {
        LogFormat::Text => {
            let text = subscriber.compact().with_target(false).with_ansi(is_coloured()).finish();
            tracing::subscriber::set_global_default(text)
        }
        LogFormat::Json => {
            let json = subscriber.json().flatten_event(true).with_current_span(true).with_span_list(false);
            tracing::subscriber::set_global_default(json.finish())
        }
    };
}

/// On a terminal, unless the variable says no (no-color.org).
fn is_coloured() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !refused
}
