//! Progress of a long command, on standard error.

use std::time::{Duration, Instant};

/// Time between two lines.
const EVERY: Duration = Duration::from_secs(2);

/// Prints a line every two seconds; a short command prints none.
pub(super) struct Progress {
    what: &'static str,
    last: Instant,
}

impl Progress {
    /// `what` comes behind the number.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, last: Instant::now() }
    }

    pub(super) fn tell(&mut self, done: i64) {
        if self.last.elapsed() >= EVERY {
            eprintln!("{done} {}", self.what);
            self.last = Instant::now();
        }
    }
}
