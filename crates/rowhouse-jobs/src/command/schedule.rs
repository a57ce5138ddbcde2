//! `schedule`: schedules and their last outcome.

use clap::{ArgMatches, Command, FromArgMatches, Subcommand};
use comfy_table::{Table, presets};
use rowhouse_db::{Control, DbError};
use rowhouse_kernel::Origin;
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::schedule::{self, Schedule};

/// Longest result or error in the table, in characters.
const WIDEST: usize = 60;
const COLUMNS: [&str; 8] =
    ["schedule", "pattern", "time zone", "kind", "missed", "next firing", "last firing", "last result"];

/// `schedule …`.
pub(crate) const SCHEDULE: CommandGroup = CommandGroup { command, run };

/// `schedule …`.
#[derive(Debug, Subcommand)]
enum ScheduleCommand {
    /// List schedules with their next time and the outcome of their last job
    #[command(
        after_help = "Example:\n  rowhouse schedule list\n  rowhouse schedule list --json | jq '.schedules[].next_at'"
    )]
    List,
    /// Enqueue a schedule's job now, in addition to its times
    #[command(after_help = "Example:\n  rowhouse schedule run jobs.prune")]
    Run {
        /// The schedule's name
        name: String,
    },
}

fn command() -> Command {
    let command = ScheduleCommand::augment_subcommands(Command::new("schedule"));
    command
        .about("List schedules of periodic jobs with their last outcome, and run one now")
        .after_help("Example:\n  rowhouse schedule list")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        let command = ScheduleCommand::from_arg_matches(matches)?;
        let (control, origin) = (context.control()?, context.origin());
        match command {
            ScheduleCommand::List => list(&control, &origin).await,
            ScheduleCommand::Run { name } => run_now(&control, &origin, context.clock.now(), &name).await,
        }
    })
}

async fn list(control: &Control, origin: &Origin) -> Result<CommandOutcome, CannotRun> {
    let schedules = all(control, origin).await?;
    let text = if schedules.is_empty() { "no schedules".to_owned() } else { table(&schedules) };
    Ok(CommandOutcome::yes(json!({ "schedules": schedules }), text))
}

async fn all(control: &Control, origin: &Origin) -> Result<Vec<Schedule>, DbError> {
    let work = async move |client: &tokio_postgres::Client| schedule::list(client).await;
    control.statement(&origin.operation("jobs.schedules_list"), work).await
}

async fn run_now(
    control: &Control,
    origin: &Origin,
    now: OffsetDateTime,
    name: &str,
) -> Result<CommandOutcome, CannotRun> {
    let wanted = name.to_owned();
    let work = async move |tx: &rowhouse_db::Transaction<'_>| schedule::run(tx, now, &wanted).await;
    if let Some(id) = control.run_tx(&origin.operation("jobs.schedule_run"), work).await? {
        return Ok(CommandOutcome::yes(json!({ "schedule": name, "id": id }), format!("job {id}")));
    }
    let known: Vec<String> = all(control, origin).await?.into_iter().map(|schedule| schedule.name).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(CannotRun::because(format!("no schedule is called \"{name}\"; known: {known}")))
}

fn table(schedules: &[Schedule]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(COLUMNS);
    for schedule in schedules {
        let next = if schedule.paused { "paused".to_owned() } else { moment(schedule.next_at) };
        table.add_row([
            schedule.name.clone(),
            schedule.cron.clone(),
            schedule.timezone.clone(),
            schedule.kind.clone(),
            schedule.missed.clone(),
            next,
            moment(schedule.last_at),
            ending(schedule.last_result.as_ref()),
        ]);
    }
    table.to_string()
}

/// To the second, in UTC; "never" for `None`.
fn moment(at: Option<OffsetDateTime>) -> String {
    let whole = at.and_then(|at| at.replace_nanosecond(0).ok()?.format(&Rfc3339).ok());
    whole.unwrap_or_else(|| "never".to_owned())
}

/// The state and the error or result, truncated to one line.
fn ending(result: Option<&Value>) -> String {
    let Some(result) = result else { return String::new() };
    let state = result["state"].as_str().unwrap_or_default();
    let more = match (&result["error"], &result["result"]) {
        (Value::String(error), _) => format!(": {}", error.lines().next().unwrap_or_default()),
        (_, Value::Null) => String::new(),
        (_, value) => format!(" {value}"),
    };
    let text = format!("{state}{more}");
    match text.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
