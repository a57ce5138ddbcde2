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

pub(super) async fn run(context: &CommandContext, args: &DisableArgs) -> Result<CommandOutcome, CannotRun> {
    if !args.yes {
        return Err(CannotRun::because(
            "from then on nothing that is committed can be restored, and no backup is made by the schedule; \
             `rowhouse backup create` turns them on again. If that is meant, add --yes",
        ));
    }
    let source = Source::of(context)?;
    state::unwant(&source.connect().await?).await?;
    let was_on = remove_slot(&source).await?;
    let text = match was_on {
        true => format!("backups are off: the slot {} is removed, the store stays", source.slot),
        false => "backups were off already".to_owned(),
    };
    Ok(CommandOutcome::yes(json!({ "was_on": was_on, "slot": source.slot }), text))
}
