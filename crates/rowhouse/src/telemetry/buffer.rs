//! Buffers log lines briefly and writes them together: one write per request would cost a tenth of the server's
//! throughput.
//!
//! A dedicated thread writes: a stopped terminal or a pipe that nobody reads must block the log only, never a
//! request. Lines that do not fit are counted and dropped.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
/// A fuller buffer is written before that.
const FLUSH_BYTES: usize = 64 * 1024;
/// Most bytes buffered for a blocked writer.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How long exit waits for the last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    dropped: u64,
    /// A batch is being written.
    is_writing: bool,
}

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    /// Notified after each batch.
    out: Condvar,
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The shared buffer. Cheap to clone.
#[derive(Clone)]
pub(super) struct LineBuffer {
    shared: Arc<Shared>,
    wake: SyncSender<()>,
}

impl LineBuffer {
    /// An empty buffer and the thread that writes it to standard error.
    pub(super) fn start() -> Self {
        Self::writing_to(io::stderr())
    }

    fn writing_to(mut out: impl Write + Send + 'static) -> Self {
        let (wake, woken) = sync_channel(1);
        let buffer = Self { shared: Arc::default(), wake };
        let shared = Arc::clone(&buffer.shared);
        let writer = std::thread::Builder::new().name("log".to_owned());
        // Without the thread nothing is logged; serving goes on.
        let _no_thread = writer.spawn(move || write_all(&shared, &woken, &mut out));
        buffer
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.shared.lines()
    }

    fn push(&self, line: &[u8]) {
        let is_full = {
            let mut lines = self.lines();
            if lines.bytes.len() + line.len() > MAX_BYTES {
                lines.dropped += 1;
                return;
            }
            lines.bytes.extend_from_slice(line);
            lines.bytes.len() >= FLUSH_BYTES
        };
        if is_full {
            let _woken_already = self.wake.try_send(());
        }
    }

    /// Waits until all lines are written, for a bounded time.
    pub(super) fn drain(&self) {
        let _woken_already = self.wake.try_send(());
        let is_busy = |lines: &mut Lines| !lines.bytes.is_empty() || lines.is_writing;
        let _out_or_too_late = self.shared.out.wait_timeout_while(self.lines(), FLUSH_TIMEOUT, is_busy);
    }
}

fn write_all(shared: &Shared, woken: &Receiver<()>, out: &mut impl Write) {
    let mut batch = Vec::with_capacity(2 * FLUSH_BYTES);
    loop {
        let _full_or_waited = woken.recv_timeout(FLUSH_INTERVAL);
        let dropped = {
            let mut lines = shared.lines();
            std::mem::swap(&mut lines.bytes, &mut batch);
            lines.is_writing = !batch.is_empty();
            std::mem::take(&mut lines.dropped)
        };
        if batch.is_empty() {
            continue;
        }
        // A closed pipe must not stop the server.
        let _closed = out.write_all(&batch);
        if dropped > 0 {
            let _closed =
                writeln!(out, r#"{{"level":"WARN","message":"log lines were dropped","dropped":{dropped}}}"#);
        }
        batch.clear();
        batch.shrink_to(2 * FLUSH_BYTES);
        shared.lines().is_writing = false;
        shared.out.notify_all();
    }
}

impl Write for LineBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineBuffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests;
