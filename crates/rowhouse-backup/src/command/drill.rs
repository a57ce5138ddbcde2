//! `drill …`: whether the backups can be restored, by restoring one. Leaves the work to `drill`.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome};
use serde_json::{Value, json};

use super::{backup_id, store};
use crate::drill::{self, Forecast, LIMIT_SECONDS, Report};
use crate::interrupt::interruptible;
use crate::key_file::read_key;
use crate::settings::BackupSettings;
use crate::store::Store;

/// `drill …`.
pub(crate) const DRILL: CommandGroup = CommandGroup { command, run };

#[derive(Debug, Subcommand)]
enum DrillCommand {
    /// Restore a backup into a folder that is thrown away, and check what is in it
    #[command(after_help = "Example:\n  rowhouse drill run --escrow-key /media/usb/escrow.key")]
    Run(RunArgs),
    /// Print the reports of former drills, the newest first
    #[command(after_help = "Example:\n  rowhouse drill list --json | jq '.drills[0].rto_seconds'")]
    List,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The backup; without it the newest
    id: Option<String>,
    /// A file with the private key that is kept offline: who has only that must be able to restore
    #[arg(long, value_name = "FILE")]
    escrow_key: Option<PathBuf>,
}

fn command() -> Command {
    DrillCommand::augment_subcommands(Command::new("drill"))
        .about("Drills: restore a backup and see whether it is good")
        .after_help("Example:\n  rowhouse drill run --escrow-key /media/usb/escrow.key")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        match DrillCommand::from_arg_matches(matches)? {
            DrillCommand::Run(args) => interruptible(context, drill(context, &args)).await,
            DrillCommand::List => list(context),
        }
    })
}

async fn drill(context: &CommandContext, args: &RunArgs) -> Result<CommandOutcome, CannotRun> {
    let id = args.id.as_deref().map(backup_id).transpose()?;
    let store = match &args.escrow_key {
        None => store(context).await?,
        Some(file) => {
            let settings = context.settings()?.get::<BackupSettings>();
            let (clock, rng) = (context.clock.clone(), context.rng.clone());
            Store::open_with(&settings, &context.project, read_key(file)?, clock, rng)?
        }
    };
    let report = drill::run(context, &store, id.as_ref(), args.escrow_key.is_some()).await?;
    Ok(CommandOutcome { yes: report.is_good, json: serde_json::to_value(&report)?, text: report.text() })
}

fn list(context: &CommandContext) -> Result<CommandOutcome, CannotRun> {
    let settings = context.settings()?.get::<BackupSettings>();
    let drills = drill::reports(&context.project, &settings, &context.rng)?;
    let mut lines: Vec<String> = drills.iter().map(line).collect();
    let forecast = forecast(&drills);
    lines.extend(forecast.as_ref().map(foretold));
    let documents: Result<Vec<Value>, CannotRun> = drills
        .iter()
        .map(|(report, is_signed)| {
            let mut document = serde_json::to_value(report)?;
            document["is_signed"] = (*is_signed).into();
            Ok(document)
        })
        .collect();
    let text = match lines.is_empty() {
        true => "no drills; begin with `rowhouse drill run`".to_owned(),
        false => lines.join("\n"),
    };
    Ok(CommandOutcome::yes(json!({ "drills": documents?, "forecast": forecast }), text))
}

fn line((report, is_signed): &(Report, bool)) -> String {
    let last = report.text().lines().rev().nth(1).unwrap_or_default().to_owned();
    if *is_signed { last } else { format!("{last} (its signature is wrong)") }
}

/// From the good drills, whose sizes are also how the cluster has grown.
fn forecast(drills: &[(Report, bool)]) -> Option<Forecast> {
    let good =
        || drills.iter().filter(|(report, is_signed)| report.is_good && *is_signed).map(|(report, _)| report);
    let sizes: Vec<_> = good().map(|report| (report.started_at, report.bytes)).collect();
    Forecast::of(&good().collect::<Vec<_>>(), &sizes)
}

fn foretold(forecast: &Forecast) -> String {
    let Forecast { now_seconds, in_30_days_seconds, is_above_limit } = forecast;
    let warning = match is_above_limit {
        true => format!("; WARNING: over {} minutes", LIMIT_SECONDS / 60.0),
        false => String::new(),
    };
    format!("a restore now: about {now_seconds:.0} s; in 30 days: about {in_30_days_seconds:.0} s{warning}")
}
