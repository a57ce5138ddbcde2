//! Signals that end a command.

use tokio::signal::unix::{Signal, SignalKind, signal};

use rowhouse_module::CannotRun;

/// SIGINT and SIGTERM; SIGHUP (a closed terminal) and SIGQUIT unless they were ignored at start, as by nohup.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
    quit: Option<Signal>,
}

impl Signals {
    pub(crate) fn install() -> Result<Self, CannotRun> {
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

    pub(crate) async fn next(&mut self) {
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
