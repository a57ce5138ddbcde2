//! `Server-Timing` (W3C): the duration of each stage of a request in milliseconds, if `rest.server_timing` is on.

use std::fmt::Write;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use rowhouse_http::VerifyTime;

/// A stopwatch of stages; a disabled one does nothing.
#[derive(Debug)]
pub(crate) struct Timing {
    last: Option<Instant>,
    text: String,
}

impl Timing {
    /// Starts with the time for verifying the token.
    pub(crate) fn start(on: bool, verified: Option<&VerifyTime>) -> Self {
        let mut timing = Self { last: on.then(Instant::now), text: String::new() };
        if let Some(VerifyTime(took)) = verified.filter(|_| on) {
            timing.note("jwt", *took);
        }
        timing
    }

    /// Ends the stage `name`; the next one begins.
    pub(crate) fn end_stage(&mut self, name: &str) {
        if let Some(last) = self.last {
            let now = Instant::now();
            self.note(name, now - last);
            self.last = Some(now);
        }
    }

    fn note(&mut self, name: &str, took: Duration) {
        let separator = if self.text.is_empty() { "" } else { ", " };
        let millis = took.as_secs_f64() * 1_000.0;
        // Writing to a String does not fail.
        let _written = write!(self.text, "{separator}{name};dur={millis:.3}");
    }

    /// Adds the header.
    pub(crate) fn show(&self, headers: &mut HeaderMap) {
        if let (Some(_), Ok(value)) = (self.last, HeaderValue::from_str(&self.text)) {
            headers.insert(HeaderName::from_static("server-timing"), value);
        }
    }
}

#[cfg(test)]
mod tests;
