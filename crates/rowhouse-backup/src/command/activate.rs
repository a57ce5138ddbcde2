//! `backup activate`: a restored copy takes the original's place. Leaves waking the worker to itself: it asks again.

use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::json;

use crate::source::Source;
use crate::state;

#[derive(Debug, clap::Args)]
pub(super) struct ActivateArgs {
    /// The original has stopped, or is not to be replaced
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(context: &CommandContext, args: &ActivateArgs) -> Result<CommandOutcome, CannotRun> {
    if !args.yes {
        return Err(CannotRun::because(
            "from then on this copy runs its jobs, sends its mails and fires its schedules: what the original has done since \
             the restored moment, or does still, is done twice. If the original has stopped, add --yes",
        ));
    }
    let client = Source::of(context)?.connect().await?;
    state::require_whole(&client).await?;
    let backup = state::activate(&client).await?;
    let text = match &backup {
        Some(backup) => format!(
            "this is no copy of backup {backup} any more: its jobs begin within a minute. Turn its backups on with: rowhouse \
             backup create"
        ),
        None => "this is no restored copy, or it was activated already".to_owned(),
    };
    Ok(CommandOutcome::yes(json!({ "was_copy_of": backup }), text))
}
