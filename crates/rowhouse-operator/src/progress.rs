//! Progress of long work on standard error: a bar on a terminal, otherwise a line every other second.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const BAR_WIDTH: u64 = 30;
/// How often the bar is drawn.
const BAR_PAUSE: Duration = Duration::from_millis(100);
/// How often a line is printed; work that is done earlier prints none.
const LINE_PAUSE: Duration = Duration::from_secs(2);

/// What has been done of a total that is about known.
pub(crate) struct Progress {
    total: u64,
    is_terminal: bool,
    shown: Instant,
}

impl Progress {
    pub(crate) fn new(total: u64) -> Self {
        Self { total, is_terminal: std::io::stderr().is_terminal(), shown: Instant::now() }
    }

    pub(crate) fn show(&mut self, done: u64) {
        let pause = if self.is_terminal { BAR_PAUSE } else { LINE_PAUSE };
        if self.shown.elapsed() < pause {
            return;
        }
        self.shown = Instant::now();
        let line = line(done, self.total);
        // A closed standard error does not end the work.
        let _closed = match self.is_terminal {
            true => write!(std::io::stderr(), "\r\u{1b}[2K{} {line}", bar(done, self.total)),
            false => writeln!(std::io::stderr(), "{line}"),
        };
    }

    /// Removes the bar.
    pub(crate) fn end(&self) {
        if self.is_terminal {
            let _closed = write!(std::io::stderr(), "\r\u{1b}[2K");
        }
    }
}

/// Users come and go meanwhile, so more may be done than there were.
fn share(done: u64, total: u64, of: u64) -> u64 {
    (done.min(total) * of).checked_div(total).unwrap_or(of)
}

fn bar(done: u64, total: u64) -> String {
    let full = share(done, total, BAR_WIDTH);
    (0..BAR_WIDTH).map(|at| if at < full { '█' } else { '░' }).collect()
}

fn line(done: u64, total: u64) -> String {
    format!("{done} of {total} users, {} %", share(done, total, 100))
}

#[cfg(test)]
mod tests {
    use super::{bar, line};

    #[test]
    fn bar_is_full_at_the_end_and_never_longer() {
        let full = |done, total| bar(done, total).chars().filter(|c| *c == '█').count();
        assert_eq!([full(0, 10), full(5, 10), full(10, 10), full(12, 10), full(0, 0)], [0, 15, 30, 30, 30]);
        assert_eq!(bar(3, 10).chars().count(), 30);
        assert_eq!(line(45_000, 100_000), "45000 of 100000 users, 45 %");
    }
}
