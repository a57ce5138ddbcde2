//! `backup disable`: write-ahead log is no longer kept or received. The store stays as it is.

use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::json;

use crate::source::{Source, remove_slot};
use crate::state;

#[derive(Debug, clap::Args)]
pub(super) struct DisableArgs {
    /// Really turn backups off
    #[arg(long)]
    yes: bool,
}

/// `is_adapted`: another program makes the backups, and the slot is what this one's own have left.
pub(super) async fn run(
    context: &CommandContext,
    args: &DisableArgs,
    is_adapted: bool,
) -> Result<CommandOutcome, CannotRun> {
    if !args.yes {
        return Err(CannotRun::because(match is_adapted {
            false => {
                "from then on nothing that is committed can be restored, and no backup is made by the schedule; \
                 `rowhouse backup create` turns them on again. If that is meant, add --yes"
            }
            true => {
                "this drops the replication slot that this program's own backups have left: from then on its store goes no \
                 further; pgbackrest goes on. If that is meant, add --yes"
            }
        }));
    }
    let source = Source::of(context)?;
    state::unwant(&source.connect().await?).await?;
    let was_on = remove_slot(&source).await?;
    let slot = &source.slot;
    let text = match (was_on, is_adapted) {
        (true, false) => format!("backups are off: the slot {slot} is removed, the store stays"),
        (false, false) => "backups were off already".to_owned(),
        (true, true) => format!("this program's own backups are off: the slot {slot} is removed, the store stays; pgbackrest goes on"),
        (false, true) => {
            "this program's own backups were off already; pgbackrest ends with archive_mode = off in postgresql.conf".to_owned()
        }
    };
    Ok(CommandOutcome::yes(json!({ "was_on": was_on, "slot": slot }), text))
}
