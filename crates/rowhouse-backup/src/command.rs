//! `backup …`: each subcommand in a file of its own. Leaves the work to the rest of the crate.

mod activate;
mod create;
mod disable;
mod drill;
mod list;
mod pgbackrest;
mod point;
mod prune;
mod restore;
mod verify;

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup};

pub(crate) use drill::DRILL;

use crate::age::Identity;
use crate::key_file::read_key;
use crate::manifest::BackupId;
use crate::pgbackrest::PgBackRest;
use crate::settings::BackupSettings;
use crate::store::{Store, find_server_key};

/// `backup …`.
pub(crate) const BACKUP: CommandGroup = CommandGroup { command, run };

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Make a backup now; from the first physical one on, `up` and `serve` receive write-ahead log for it
    #[command(
        after_help = "Example:\n  rowhouse backup create\n  rowhouse backup create --label 'before the move' --json"
    )]
    Create(create::CreateArgs),
    /// Print the backups of the store, the newest first
    #[command(
        after_help = "Example:\n  rowhouse backup list\n  rowhouse backup list --points\n  rowhouse backup list --json | jq -r '.backups[].id'"
    )]
    List(list::ListArgs),
    /// Read backups back, every byte, with their write-ahead log; exit code 1 if something is damaged
    #[command(
        after_help = "Example:\n  rowhouse backup verify\n  rowhouse backup verify 20261128T020000Z-3f2a9c --json | jq '.damage'"
    )]
    Verify(verify::VerifyArgs),
    /// Remove backups that `backup.keep_daily` and `backup.keep_weekly` do not keep, and the log before the oldest that stays
    #[command(after_help = "Example:\n  rowhouse backup prune --dry-run")]
    Prune(prune::PruneArgs),
    /// Turn backups off: write-ahead log is no longer kept or received, and the store stays
    #[command(after_help = "Example:\n  rowhouse backup disable --yes")]
    Disable(disable::DisableArgs),
    /// Let a restored copy act: until then its jobs, mails and schedules rest
    #[command(after_help = "Example:\n  rowhouse backup activate --yes --dir ../restored")]
    Activate(activate::ActivateArgs),
    /// Give the present a name, to which `restore --name` goes back
    #[command(after_help = "Example:\n  rowhouse backup point before-import")]
    Point(point::PointArgs),
    /// Restore a backup with everything committed since, up to a time, a position or a point
    #[command(
        after_help = "Example:\n  rowhouse backup restore --into ../restored\n  rowhouse backup restore --at 2026-11-28T10:00:00Z --into ../restored\n  rowhouse up --dir ../restored\n  rowhouse backup restore --tenant acme --at 2026-11-28T10:00:00Z"
    )]
    Restore(restore::RestoreArgs),
}

fn command() -> Command {
    BackupCommand::augment_subcommands(Command::new("backup"))
        .about("Backups: make, list and restore them")
        .after_help("Example:\n  rowhouse backup list")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        let command = BackupCommand::from_arg_matches(matches)?;
        if let Some(adapter) = PgBackRest::of(&context.settings()?.get::<BackupSettings>()) {
            return pgbackrest::run(context, &adapter, command).await;
        }
        match command {
            BackupCommand::List(args) => list::run(context, &args).await,
            BackupCommand::Verify(args) => verify::run(context, args).await,
            BackupCommand::Prune(args) => prune::run(context, args).await,
            BackupCommand::Create(args) => create::run(context, &args).await,
            BackupCommand::Disable(args) => disable::run(context, &args, false).await,
            BackupCommand::Activate(args) => activate::run(context, &args).await,
            BackupCommand::Point(args) => point::run(context, &args).await,
            BackupCommand::Restore(args) => restore::run(context, &args).await,
        }
    })
}

/// Whose key opens the store.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// File with a private key of age, such as the escrow key [default: the server's key]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// The project's store, for writing: makes the server's key if there is none.
pub(crate) async fn store(context: &CommandContext) -> Result<Store, CannotRun> {
    let settings = context.settings()?.get::<BackupSettings>();
    let (clock, rng) = (context.clock.clone(), context.rng.clone());
    Ok(Store::open(&settings, &context.project, clock, rng).await?)
}

/// The project's store, for reading. Without any key nothing in it opens, and `list` still says what is there.
pub(crate) fn reader(context: &CommandContext, args: &KeyArgs) -> Result<Store, CannotRun> {
    let settings = context.settings()?.get::<BackupSettings>();
    let (clock, rng) = (context.clock.clone(), context.rng.clone());
    let identity = match &args.key {
        Some(file) => read_key(file)?,
        None => match find_server_key(&settings, &context.project)? {
            Some(identity) => identity,
            None => Identity::generate(&*rng)
                .ok_or_else(|| CannotRun::because("the crypto library made no key"))?,
        },
    };
    Ok(Store::open_with(&settings, &context.project, identity, clock, rng)?)
}

/// A backup's name that somebody has typed.
pub(crate) fn backup_id(text: &str) -> Result<BackupId, CannotRun> {
    let why = || {
        CannotRun::because(format!("\"{text}\" is not a backup; `rowhouse backup list` prints their names"))
    };
    BackupId::parse(text).ok_or_else(why)
}
