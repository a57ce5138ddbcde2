//! Ctrl-C and SIGTERM during work that has a server of its own, which must not outlive it.

use rowhouse_module::{CannotRun, CommandContext};
use tokio::signal::unix::{SignalKind, signal};

/// Drops the work when a signal comes; what it holds is stopped and removed by that.
pub(crate) async fn interruptible<T>(
    context: &CommandContext,
    work: impl Future<Output = Result<T, CannotRun>>,
) -> Result<T, CannotRun> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        done = work => return done,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    context.set_interrupted();
    Err(CannotRun::because("interrupted; nothing was changed"))
}
