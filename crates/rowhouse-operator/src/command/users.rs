//! `users`: whether all users have a profile, and making the missing ones. Leaves finding and closing accounts to `account`.

mod account;
mod create_profile;

use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use rowhouse_db::Control;
use rowhouse_kernel::Origin;
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome};
use rowhouse_tenancy::user_sync::{PROFILE_ROLES, Trigger, UserSync};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_postgres::Client;
use uuid::Uuid;

pub(super) use account::FilterArgs;

use super::{is_json, outcome, shown};
use crate::privacy::command as privacy;
use crate::report::{Outcome, Report, State};
use crate::sync::{Done, Maker, Profile, Stopped};
use crate::{probe, sync};

/// How long an interrupted sync may take to end the batch that it is at.
const INTERRUPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Most users that `--verbose` lists as missing.
const MAX_MISSING: usize = 100;

/// `users …` on the command line.
pub(crate) const USERS: CommandGroup = CommandGroup { command, run };

/// `users …`.
#[derive(Debug, Subcommand)]
enum UsersCommand {
    /// Count users and profiles, and say whether new users get one; exit code 1 when profiles or the trigger are missing
    #[command(after_help = "Example:\n  rowhouse users status --json | jq .missing_profiles")]
    Status {
        /// List who has no profile, 100 at most
        #[arg(long)]
        verbose: bool,
    },
    /// Create the profiles that are missing; those that exist stay as they are
    #[command(after_help = "Example:\n  rowhouse users sync --dry-run\n  rowhouse users sync")]
    Sync(SyncArgs),
    /// Create the profile of one user
    #[command(
        after_help = "Example:\n  rowhouse users create-profile 0198c0de-… --role admin\n  rowhouse users create-profile ada@example.com"
    )]
    CreateProfile(create_profile::CreateProfileArgs),
    /// Restore the trigger by which sign-ups make profiles, then create those that are missing
    #[command(after_help = "Example:\n  rowhouse users repair")]
    Repair(SyncArgs),
    /// Sum up the state and the last sync, with recommendations
    #[command(after_help = "Example:\n  rowhouse users report --json | jq -r '.recommendations[]'")]
    Report,
    /// Write everything that is stored about a user as lines of JSON
    #[command(after_help = "Example:\n  rowhouse users export ada@example.com --out ada.ndjson")]
    Export(privacy::ExportArgs),
    /// Take everything personal out of a user's account, whose id stays
    #[command(
        after_help = "Example:\n  rowhouse users erase ada@example.com --dry-run\n  rowhouse users erase ada@example.com"
    )]
    Erase(privacy::EraseArgs),
    /// Erase those again whom a restored backup has brought back
    #[command(after_help = "Example:\n  rowhouse users replay-erasures")]
    ReplayErasures(privacy::ListArgs),
    /// Prove that a sign-up makes what belongs to it, with a user who is rolled back
    #[command(after_help = "Example:\n  rowhouse users test")]
    Test,
    /// Search users by the beginning of address or number, words of the name, or id
    #[command(after_help = "Example:\n  rowhouse users search ada --status suspended")]
    Search(account::SearchArgs),
    /// Close an account: every session ends, and sign-ins are refused
    #[command(after_help = "Example:\n  rowhouse users suspend ada@example.com --reason abuse")]
    Suspend {
        /// The user's id or address
        user: String,
        /// Why, for operators
        #[arg(long)]
        reason: String,
    },
    /// Open an account again
    #[command(after_help = "Example:\n  rowhouse users reactivate ada@example.com")]
    Reactivate {
        /// The user's id or address
        user: String,
        /// Why, for operators
        #[arg(long)]
        reason: Option<String>,
    },
}

/// `users sync` and `users repair`.
#[derive(Debug, Args)]
struct SyncArgs {
    /// Say what would be done and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    profile: ProfileArgs,
    /// List whose profiles were created
    #[arg(long)]
    verbose: bool,
}

/// What new profiles are like.
#[derive(Debug, Args)]
struct ProfileArgs {
    /// Role of new profiles [default: that of a sign-up, member]
    #[arg(long, value_parser = PROFILE_ROLES)]
    role: Option<String>,
    /// Create them inactive
    #[arg(long)]
    inactive: bool,
}

impl ProfileArgs {
    fn profile(&self) -> Profile {
        Profile { role: self.role.clone(), is_inactive: self.inactive }
    }
}

fn command() -> Command {
    let command = UsersCommand::augment_subcommands(Command::new("users"));
    command
        .about("Users and their profiles")
        .after_help("Example:\n  rowhouse users status")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        let (command, as_json) = (UsersCommand::from_arg_matches(matches)?, is_json(matches));
        let users = Users { control: context.control()?, origin: context.origin() };
        match command {
            UsersCommand::Status { verbose } => users.status(as_json, verbose).await,
            UsersCommand::Sync(args) => users.sync(context, as_json, &args, false).await,
            UsersCommand::Repair(args) => users.sync(context, as_json, &args, true).await,
            UsersCommand::CreateProfile(args) => create_profile::run(&users, as_json, &args).await,
            UsersCommand::Export(args) => privacy::export(context, &args).await,
            UsersCommand::Erase(args) => privacy::erase(context, &args).await,
            UsersCommand::ReplayErasures(args) => privacy::replay(context, &args).await,
            UsersCommand::Report => users.report(as_json).await,
            UsersCommand::Search(args) => users.search(as_json, args).await,
            UsersCommand::Suspend { user, reason } => users.change(as_json, &user, true, Some(&reason)).await,
            UsersCommand::Reactivate { user, reason } => {
                users.change(as_json, &user, false, reason.as_deref()).await
            }
            UsersCommand::Test => {
                let proof = probe::prove(&users.control, &users.origin, &*context.rng).await?;
                outcome(as_json, proof.proved, &proof, shown::proof(&proof))
            }
        }
    })
}

/// The document of `users status`.
#[derive(Serialize)]
struct Status<'a> {
    #[serde(flatten)]
    state: &'a State,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_user_ids: Option<Vec<Uuid>>,
}

/// The database, and who asks.
struct Users {
    control: Control,
    origin: Origin,
}

impl From<Stopped> for CannotRun {
    fn from(error: Stopped) -> Self {
        Self::because(error.to_string())
    }
}

impl Users {
    async fn measure(&self) -> Result<UserSync, CannotRun> {
        let measure = async |client: &Client| UserSync::measure(client).await;
        Ok(self.control.statement(&self.origin.operation("users.count"), measure).await?)
    }

    async fn status(&self, as_json: bool, is_verbose: bool) -> Result<CommandOutcome, CannotRun> {
        let state = State::from(self.measure().await?);
        let missing = match is_verbose {
            true => Some(sync::list_missing(&self.control, &self.origin, MAX_MISSING).await?),
            false => None,
        };
        let text = shown::state(&state, missing.as_deref().unwrap_or_default());
        outcome(as_json, state.sync.is_complete(), &Status { state: &state, missing_user_ids: missing }, text)
    }

    async fn report(&self, as_json: bool) -> Result<CommandOutcome, CannotRun> {
        let state = State::from(self.measure().await?);
        let last = async |client: &Client| sync::last(client).await;
        let last = self.control.statement(&self.origin.operation("users.last_sync"), last).await?;
        let report = Report::new(state, last);
        outcome(as_json, report.state.sync.is_complete(), &report, shown::report(&report))
    }

    async fn sync(
        &self,
        context: &CommandContext,
        as_json: bool,
        args: &SyncArgs,
        repairs: bool,
    ) -> Result<CommandOutcome, CannotRun> {
        let before = self.measure().await?;
        if args.dry_run {
            let found = Outcome::new(&before, before.clone(), Done::default(), true);
            return outcome(as_json, true, &found, shown::outcome(&found, false));
        }
        // First the trigger, so that nobody signs up without a profile behind the sync's back.
        if repairs && before.trigger != Trigger::Active {
            sync::restore_trigger(&self.control, &self.origin, &before).await?;
        }
        let done = self.make_all(context, args, &before).await?;
        let result = Outcome::new(&before, self.measure().await?, done, false);
        let text = shown::outcome(&result, args.verbose);
        outcome(as_json, result.is_good(), &result, text)
    }

    /// Ctrl-C lets it end the page that it is at.
    async fn make_all(
        &self,
        context: &CommandContext,
        args: &SyncArgs,
        before: &UserSync,
    ) -> Result<Done, CannotRun> {
        let profile = args.profile.profile();
        let maker = Maker { control: &self.control, origin: &self.origin, profile: &profile };
        let mut interrupt = signal(SignalKind::interrupt())?;
        let interrupted = async {
            interrupt.recv().await;
            context.set_interrupted();
            tokio::time::sleep(INTERRUPT_TIMEOUT).await;
        };
        tokio::select! {
            done = maker.make_all(before.total_auth_users, &context.interrupted) => Ok(done?),
            () = interrupted => Err(CannotRun::because("interrupted, and the database did not answer any more")),
        }
    }
}
