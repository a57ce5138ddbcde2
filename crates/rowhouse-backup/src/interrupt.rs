//! Ctrl-C and SIGTERM during work that has a server of its own, which must not outlive it.

use rowhouse_module::{CannotRun, CommandContext};

/// Drops the work when a signal comes; what it holds is stopped and removed by that.
pub(crate) async fn interruptible<T>(
    context: &CommandContext,
    work: impl Future<Output = Result<T, CannotRun>>,
) -> Result<T, CannotRun> {
    context.interruptible("nothing was changed", work).await
}
