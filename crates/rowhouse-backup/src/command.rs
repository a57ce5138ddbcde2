//! `backup …`: each subcommand in a file of its own. Leaves the work to the rest of the crate.

mod list;

use clap::{ArgMatches, Command, FromArgMatches, Subcommand};
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup};

use crate::settings::BackupSettings;
use crate::store::Store;

/// `backup …`.
pub(crate) const BACKUP: CommandGroup = CommandGroup { command, run };

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Print the backups of the store, the newest first
    #[command(
        after_help = "Example:\n  rowhouse backup list\n  rowhouse backup list --json | jq -r '.backups[].id'"
    )]
    List,
}

fn command() -> Command {
    BackupCommand::augment_subcommands(Command::new("backup"))
        .about("Backups: list them, read them back, remove old ones")
        .after_help("Example:\n  rowhouse backup list")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        match BackupCommand::from_arg_matches(matches)? {
            BackupCommand::List => list::run(context).await,
        }
    })
}

/// The project's store.
pub(crate) fn store(context: &CommandContext) -> Result<Store, CannotRun> {
    let settings = context.settings()?.get::<BackupSettings>();
    let (clock, rng) = (context.clock.clone(), context.rng.clone());
    Ok(Store::open(&settings, &context.project, clock, rng)?)
}
