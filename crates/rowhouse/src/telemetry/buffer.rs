//! Gathers log lines for a moment and writes them together: one write per request line would cost a tenth of the
//! server's throughput. Warnings and errors are written at once.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait.
const WAIT: Duration = Duration::from_millis(50);
/// A fuller buffer is written by whoever fills it.
const FULL: usize = 64 * 1024;

/// The shared buffer. Cheap to clone.
#[derive(Clone)]
pub(super) struct LineBuffer(Arc<Mutex<Vec<u8>>>);

impl LineBuffer {
    /// An empty buffer and the thread that writes it out.
    pub(super) fn start() -> Self {
        let buffer = Self(Arc::new(Mutex::new(Vec::with_capacity(2 * FULL))));
        let lines = buffer.clone();
        let writer = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            loop {
                std::thread::park_timeout(WAIT);
                lines.write_out();
            }
        });
        // Without the thread, lines are written as the buffer fills; nothing is lost but time.
        drop(writer);
        buffer
    }

    /// A reader that went away is no reason to stop serving.
    pub(super) fn write_out(&self) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !lines.is_empty() {
            let _closed = io::stderr().write_all(&lines);
            lines.clear();
        }
    }
}

/// One line on its way.
pub(super) struct Line {
    buffer: LineBuffer,
    urgent: bool,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let full = {
            let mut lines = self.buffer.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extend_from_slice(bytes);
            lines.len() >= FULL
        };
        if full || self.urgent {
            self.buffer.write_out();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.buffer.write_out();
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineBuffer {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { buffer: self.clone(), urgent: false }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        Line { buffer: self.clone(), urgent: *metadata.level() <= Level::WARN }
    }
}
