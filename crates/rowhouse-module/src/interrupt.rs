//! Signals that end a command, in one place, so that each command that one ends has the exit code 130.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{CannotRun, CommandContext};

/// Runs `work`; an interrupt drops it, with whatever it holds, and is recorded. `left` says how things are then: "nothing was
/// changed".
///
/// # Errors
/// Those of `work`; the interrupt.
pub async fn interruptible<T>(
    interrupted: &AtomicBool,
    left: &str,
    work: impl Future<Output = Result<T, CannotRun>>,
) -> Result<T, CannotRun> {
    tokio::select! {
        done = work => done,
        () = interruption(interrupted) => Err(CannotRun::because(format!("interrupted; {left}"))),
    }
}

/// Completes with the first signal that ends a command, and records it: whatever the command reports, its exit code is 130.
pub async fn interruption(interrupted: &AtomicBool) {
    match Signals::install() {
        Ok(mut signals) => signals.next().await,
        Err(CannotRun(reasons)) => {
            tracing::warn!(?reasons, "signals cannot be heard");
            std::future::pending::<()>().await;
        }
    }
    interrupted.store(true, Ordering::Relaxed);
}

impl CommandContext {
    /// [`interruptible`] for a command of a module.
    ///
    /// # Errors
    /// Those of `work`; the interrupt.
    pub async fn interruptible<T>(
        &self,
        left: &str,
        work: impl Future<Output = Result<T, CannotRun>>,
    ) -> Result<T, CannotRun> {
        interruptible(&self.interrupted, left, work).await
    }
}

/// SIGINT and SIGTERM; SIGHUP (a closed terminal) and SIGQUIT unless they were ignored at start, as by nohup.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
    quit: Option<Signal>,
}

impl Signals {
    /// Begins to listen; from here on they do not end the process by themselves.
    ///
    /// # Errors
    /// The operating system's.
    pub fn install() -> Result<Self, CannotRun> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let unless_ignored = |kind: SignalKind| match is_ignored(&status, kind.as_raw_value()) {
            true => Ok(None),
            false => signal(kind).map(Some),
        };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: unless_ignored(SignalKind::hangup())?,
            quit: unless_ignored(SignalKind::quit())?,
        })
    }

    /// Completes with the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = received(&mut self.hangup) => {}
            () = received(&mut self.quit) => {}
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Reads the mask of ignored signals in `/proc/self/status`; bit 0 is signal 1.
fn is_ignored(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (number - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::is_ignored;

    #[test]
    fn mask_of_ignored_signals_is_parsed() {
        let nohup = "Name:\trowhouse\nSigBlk:\tffff\nSigIgn:\t0000000000000001\n";
        assert!(is_ignored(nohup, 1) && !is_ignored(nohup, 3));
        assert!(!is_ignored("", 1));
    }
}
