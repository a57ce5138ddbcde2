//! How far long work is: a bar on a terminal, a line now and then otherwise. Leaves what is counted to the work.

use std::io::{IsTerminal, Stderr, Write};

use rowhouse_kernel::SharedClock;
use time::{Duration, OffsetDateTime};

const WIDTH: u64 = 30;
/// How often a bar is drawn again.
const BAR_PAUSE: Duration = Duration::milliseconds(100);
/// How often a line is printed where nothing can be drawn.
const LINE_PAUSE: Duration = Duration::seconds(10);
const MIB: u64 = 1 << 20;

/// Progress on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    verb: &'static str,
    /// None if nobody knows.
    total: Option<u64>,
    done: u64,
    clock: SharedClock,
    shown_at: OffsetDateTime,
    out: Stderr,
    is_terminal: bool,
}

impl Progress {
    /// Of work on so many bytes; the verb stands before the numbers.
    pub(crate) fn new(verb: &'static str, total: Option<u64>, clock: SharedClock) -> Self {
        let (out, shown_at) = (std::io::stderr(), clock.now());
        let is_terminal = out.is_terminal();
        Self { verb, total, done: 0, clock, shown_at, out, is_terminal }
    }

    /// So many bytes more.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.done += bytes;
        let pause = if self.is_terminal { BAR_PAUSE } else { LINE_PAUSE };
        let now = self.clock.now();
        if now - self.shown_at >= pause {
            self.shown_at = now;
            self.show();
        }
    }

    /// Removes the bar, before something is printed; dropping it does so as well.
    pub(crate) fn end(&mut self) {
        if self.is_terminal {
            let _closed = write!(self.out, "\r\x1b[K");
        }
    }

    fn show(&mut self) {
        let text = line(self.verb, self.done, self.total);
        let _closed = match self.is_terminal {
            true => write!(self.out, "\r\x1b[K{text}"),
            false => writeln!(self.out, "{text}"),
        };
    }
}

/// After an error, whose message would follow the bar.
impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn line(verb: &str, done: u64, total: Option<u64>) -> String {
    match total.filter(|total| *total > 0) {
        None => format!("{verb} {} MiB", done / MIB),
        Some(total) => {
            let done = done.min(total);
            let filled = (done.saturating_mul(WIDTH) / total) as usize;
            let bar = format!("{}{}", "#".repeat(filled), ".".repeat(WIDTH as usize - filled));
            let percent = done.saturating_mul(100) / total;
            format!("{verb} [{bar}] {percent:>3} %  {} of {} MiB", done / MIB, total / MIB)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MIB, line};

    #[test]
    fn bar_is_as_long_as_the_work_is_done() {
        assert_eq!(line("read", 0, None), "read 0 MiB");
        let half = "read [###############...............]  50 %  5 of 10 MiB";
        assert_eq!(line("read", 5 * MIB, Some(10 * MIB)), half);
        let whole = "read [##############################] 100 %  10 of 10 MiB";
        assert_eq!(line("read", 99 * MIB, Some(10 * MIB)), whole);
    }
}
