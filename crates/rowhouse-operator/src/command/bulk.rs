//! `bulk`: one action for many users. The work is done by a worker; `--wait` shows how far it is.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use rowhouse_db::{Control, Transaction};
use rowhouse_kernel::{Origin, new_id};
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome};
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use super::users::FilterArgs;
use super::{is_json, outcome, shown};
use crate::flow::bulk::{self as flow, Asked, BulkError, Written};
use crate::flow::operation;
use crate::progress::Progress;
use crate::result_file::ResultFormat;
use crate::store::bulk::{self as store, Action, BulkJob};

/// How often `--wait` looks.
const PAUSE: Duration = Duration::from_millis(250);
/// Items of a page of results.
const PAGE: i64 = 1_000;
/// Most jobs of a list.
const LISTED: u32 = 100;

/// `bulk …` on the command line.
pub(crate) const BULK: CommandGroup = CommandGroup { command, run };

/// `bulk …`.
#[derive(Debug, Subcommand)]
enum BulkCommand {
    /// Do something to many users: those of a file, or those who fit
    #[command(
        after_help = "Example:\n  rowhouse bulk start suspend --file ids.txt --reason abuse --dry-run --wait\n  rowhouse bulk start export --organization 0198c0de-… --wait\n  rowhouse bulk start invite --file addresses.txt --organization 0198c0de-… --role member"
    )]
    Start(StartArgs),
    /// List bulk jobs, the newest first, 100 at most
    #[command(after_help = "Example:\n  rowhouse bulk list")]
    List,
    /// Show a bulk job with its progress
    #[command(after_help = "Example:\n  rowhouse bulk show 0198c0de-… --json | jq .failed")]
    Show(Named),
    /// Do the failed items again, and those that a cancellation has left
    #[command(after_help = "Example:\n  rowhouse bulk retry 0198c0de-… --wait")]
    Retry(Named),
    /// End one after the batch that it is at
    #[command(after_help = "Example:\n  rowhouse bulk cancel 0198c0de-…")]
    Cancel(Named),
    /// Print what became of each user
    #[command(after_help = "Example:\n  rowhouse bulk results 0198c0de-… --format csv > results.csv")]
    Results {
        /// The job's id
        job: Uuid,
        /// Of the lines
        #[arg(long, default_value = "ndjson", value_parser = ResultFormat::NAMES)]
        format: String,
    },
}

/// A job.
#[derive(Debug, Args)]
struct Named {
    /// The job's id
    job: Uuid,
    /// Wait for its end, and show how far it is
    #[arg(long)]
    wait: bool,
}

/// `bulk start`.
#[derive(Debug, Args)]
struct StartArgs {
    /// What to do
    #[arg(value_parser = Action::NAMES)]
    action: String,
    /// A file with an id in each line; with an address, to invite
    #[arg(long)]
    file: Option<PathBuf>,
    /// Who fits: the beginning of an address or number, words of the name
    #[arg(long, conflicts_with = "file")]
    q: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// The role of invitations [default: member]
    #[arg(long)]
    role: Option<String>,
    /// Why, for operators; suspend and delete need one
    #[arg(long)]
    reason: Option<String>,
    /// Try each item and roll it back
    #[arg(long)]
    dry_run: bool,
    /// Wait for its end, and show how far it is
    #[arg(long)]
    wait: bool,
}

impl StartArgs {
    fn asked(&self) -> Result<Asked, CannotRun> {
        let action = Action::parse(&self.action).unwrap_or(Action::Export);
        let lines = self.file.as_ref().map(std::fs::read_to_string).transpose()?;
        let lines = lines.as_deref().map(|text| text.lines().map(str::trim).filter(|line| !line.is_empty()));
        let mut written =
            Written { reason: self.reason.clone(), dry_run: self.dry_run, ..Written::default() };
        match (action, lines) {
            (Action::Invite, Some(lines)) => {
                written.emails = Some(lines.map(str::to_owned).collect());
                written.organization = self.filter.organization();
                written.role.clone_from(&self.role);
            }
            (_, Some(lines)) => {
                let ids: Result<Vec<_>, _> = lines.map(str::parse::<Uuid>).collect();
                let unread =
                    |error: uuid::Error| CannotRun::because(format!("--file: an id in each line: {error}"));
                written.users = Some(ids.map_err(unread)?);
            }
            (_, None) => written.filter = Some(self.filter.filter(self.q.clone())),
        }
        Asked::read(action, written).map_err(|error| CannotRun::because(error.to_string()))
    }
}

fn command() -> Command {
    let command = BulkCommand::augment_subcommands(Command::new("bulk"));
    command
        .about("One action for many users, by a worker")
        .after_help("Example:\n  rowhouse bulk start export --status suspended --wait")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        let (command, as_json) = (BulkCommand::from_arg_matches(matches)?, is_json(matches));
        let bulk = Bulk { control: context.control()?, origin: context.origin(), as_json };
        match command {
            BulkCommand::Start(args) => bulk.start(context, &args).await,
            BulkCommand::List => bulk.list().await,
            BulkCommand::Show(Named { job, wait }) => bulk.show(bulk.get(job).await?, wait).await,
            BulkCommand::Retry(Named { job, wait }) => {
                let retry = async |tx: &Transaction<'_>| flow::retry(tx, job).await;
                let done = bulk.control.run_tx(&operation(&bulk.origin, "bulk.retry"), retry).await;
                bulk.changed(done, wait).await
            }
            BulkCommand::Cancel(Named { job, wait }) => {
                let cancel = async |tx: &Transaction<'_>| flow::cancel(tx, job).await;
                let done = bulk.control.run_tx(&operation(&bulk.origin, "bulk.cancel"), cancel).await;
                bulk.changed(done, wait).await
            }
            BulkCommand::Results { job, format } => bulk.results(job, &format).await,
        }
    })
}

/// The database, and who asks.
struct Bulk {
    control: Control,
    origin: Origin,
    as_json: bool,
}

impl Bulk {
    async fn get(&self, id: Uuid) -> Result<BulkJob, CannotRun> {
        let find = async |client: &Client| store::find(client, id).await;
        let found = self.control.statement(&self.origin.operation("bulk.find"), find).await?;
        found.ok_or_else(|| CannotRun::because(BulkError::NotFound.to_string()))
    }

    async fn start(&self, context: &CommandContext, args: &StartArgs) -> Result<CommandOutcome, CannotRun> {
        let asked = args.asked()?;
        let (id, actor) = (new_id(&*context.clock, &*context.rng), self.origin.actor.to_string());
        let begin = async |tx: &Transaction<'_>| flow::begin(tx, id, &asked, &actor).await;
        let begun = self.control.run_tx(&operation(&self.origin, "bulk.start"), begin).await;
        self.changed(begun, args.wait).await
    }

    async fn changed(
        &self,
        done: Result<BulkJob, BulkError>,
        waits: bool,
    ) -> Result<CommandOutcome, CannotRun> {
        match done {
            Ok(job) => self.show(job, waits).await,
            Err(BulkError::Db(error)) => Err(error.into()),
            Err(error) => {
                let why = error.to_string();
                outcome(self.as_json, false, &json!({ "message": why }), why)
            }
        }
    }

    /// Exit code 1 when an item has failed, as far as is known.
    async fn show(&self, mut job: BulkJob, waits: bool) -> Result<CommandOutcome, CannotRun> {
        let mut progress = Progress::new(count(job.total));
        while waits && job.is_running() {
            progress.show(count(job.ended()));
            tokio::time::sleep(PAUSE).await;
            job = self.get(job.id).await?;
        }
        progress.end();
        let text = shown::bulk_job(&job);
        outcome(self.as_json, job.failed == 0, &job, text)
    }

    async fn list(&self) -> Result<CommandOutcome, CannotRun> {
        let list = async |client: &Client| store::list(client, None, LISTED).await;
        let found = self.control.statement(&self.origin.operation("bulk.list"), list).await?;
        let line = |job: &BulkJob| {
            let (ended, total) = (job.ended(), job.total);
            format!("{}  {:<8}  {:<9}  {ended} of {total}\n", job.id, job.action.name(), job.state)
        };
        let text = found.iter().map(line).collect();
        outcome(self.as_json, true, &json!({ "bulk_jobs": found }), text)
    }

    /// Notes it in the audit log, then prints as it reads.
    async fn results(&self, id: Uuid, format: &str) -> Result<CommandOutcome, CannotRun> {
        let job = self.get(id).await?;
        let note = async |tx: &Transaction<'_>| flow::note_results(tx, id).await;
        let noted = self.control.run_tx(&operation(&self.origin, "bulk.note_results"), note).await;
        noted.map_err(|error| CannotRun::because(error.to_string()))?;
        let format = ResultFormat::parse(format).unwrap_or_default();
        let mut after = 0;
        loop {
            let read = async |client: &Client| store::items(client, job.id, after, PAGE).await;
            let items = self.control.statement(&self.origin.operation("bulk.results"), read).await?;
            std::io::stdout().write_all(format.lines(&items, after == 0).as_bytes())?;
            match items.last() {
                Some(last) if items.len() as i64 == PAGE => after = last.number,
                _ => return outcome(false, true, &json!({}), String::new()),
            }
        }
    }
}

fn count(number: i32) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
