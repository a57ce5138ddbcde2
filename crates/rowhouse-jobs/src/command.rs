//! `jobs`: inspecting and controlling background jobs.

mod arguments;
mod drain;
pub(crate) mod schedule;
mod shown;

use clap::{ArgMatches, Command, FromArgMatches, Subcommand};
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::admin::{self, Filter};
use crate::{NewJob, enqueue};
use arguments::{EnqueueArgs, JobsCommand, ListArgs, RetryArgs, ScopeArgs};

/// `jobs …`.
pub(crate) const JOBS: CommandGroup = CommandGroup { command, run };

fn command() -> Command {
    let command = JobsCommand::augment_subcommands(Command::new("jobs"));
    command
        .about("Inspect and control background jobs")
        .after_help("Example:\n  rowhouse jobs stats\n  rowhouse jobs list --state dead")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move { steer(&JobsCommand::from_arg_matches(matches)?, context).await })
}

async fn steer(command: &JobsCommand, context: &CommandContext) -> Result<CommandOutcome, CannotRun> {
    let client = context.connect().await?;
    match command {
        JobsCommand::List(args) => list(&client, args).await,
        JobsCommand::Show { id } => show(&client, *id).await,
        JobsCommand::Retry(args) => retry(&client, args).await,
        JobsCommand::Cancel { id } => cancel(&client, *id).await,
        JobsCommand::Stats => stats(&client).await,
        JobsCommand::Pause(args) => pause(&client, args, true).await,
        JobsCommand::Resume(args) => pause(&client, args, false).await,
        JobsCommand::Drain { queue, timeout } => drain::run(&client, queue.as_deref(), *timeout).await,
        JobsCommand::Enqueue(args) => new(&client, context, args).await,
    }
}

async fn list(client: &Client, args: &ListArgs) -> Result<CommandOutcome, CannotRun> {
    let filter = Filter {
        state: args.state.clone(),
        queue: args.queue.clone(),
        kind: args.kind.clone(),
        tenant: args.tenant,
        after: args.after,
    };
    let jobs = admin::list(client, &filter, args.limit).await?;
    let text = shown::list(&jobs);
    Ok(CommandOutcome::yes(json!({ "jobs": jobs }), text))
}

async fn show(client: &Client, id: i64) -> Result<CommandOutcome, CannotRun> {
    match admin::find(client, id).await? {
        Some(job) => {
            let text = shown::job(&job);
            Ok(CommandOutcome::yes(job, text))
        }
        None => Ok(no(format!("no job {id}, or it was pruned"))),
    }
}

async fn retry(client: &Client, args: &RetryArgs) -> Result<CommandOutcome, CannotRun> {
    let Some(id) = args.id else {
        let count = admin::retry_all(client, args.queue.as_deref(), args.kind.as_deref()).await?;
        return Ok(CommandOutcome::yes(json!({ "retried": count }), format!("{count} dead jobs run again")));
    };
    if admin::retry(client, id).await? {
        return Ok(CommandOutcome::yes(json!({ "retried": 1 }), format!("job {id} runs again")));
    }
    Ok(no(format!("job {id} is not dead, cancelled, failed or scheduled")))
}

async fn cancel(client: &Client, id: i64) -> Result<CommandOutcome, CannotRun> {
    let text = match admin::cancel(client, id).await?.as_deref() {
        Some("cancelled") => format!("job {id} is cancelled"),
        Some("cancelling") => format!("job {id} is running; its worker stops it"),
        Some(state) => return Ok(no(format!("job {id} has ended already: {state}"))),
        None => return Ok(no(format!("no job {id}, or it was pruned"))),
    };
    Ok(CommandOutcome::yes(json!({ "id": id, "cancelled": true }), text))
}

async fn stats(client: &Client) -> Result<CommandOutcome, CannotRun> {
    let stats = admin::stats(client).await?;
    let text = shown::stats(&stats);
    Ok(CommandOutcome::yes(json!({ "kinds": stats }), text))
}

async fn pause(client: &Client, args: &ScopeArgs, rests: bool) -> Result<CommandOutcome, CannotRun> {
    let queues = admin::pause(client, args.queue.as_deref(), args.tenant, rests).await?;
    if queues.is_empty() {
        let queue = args.queue.as_deref().unwrap_or_default();
        return Err(CannotRun::because(format!("no queue is called \"{queue}\"")));
    }
    let word = if rests { "paused" } else { "resumed" };
    let whose = args.tenant.map(|tenant| format!(" of tenant {tenant}")).unwrap_or_default();
    let text = format!("{word}: {}{whose}", queues.join(", "));
    Ok(CommandOutcome::yes(json!({ "queues": queues, "tenant": args.tenant, "paused": rests }), text))
}

async fn new(
    client: &Client,
    context: &CommandContext,
    args: &EnqueueArgs,
) -> Result<CommandOutcome, CannotRun> {
    let job = NewJob {
        queue: &args.queue,
        run_at: args.run_at.or_else(|| args.delay.map(|delay| context.clock.now() + delay)),
        priority: args.priority,
        tenant: args.tenant,
        unique_key: args.unique_key.as_deref(),
        key: args.key.as_deref(),
        ..NewJob::new(&args.kind, args.payload.clone())
    };
    let id = enqueue(client, &job).await?;
    Ok(CommandOutcome::yes(json!({ "id": id }), format!("job {id}")))
}

fn no(text: String) -> CommandOutcome {
    CommandOutcome { yes: false, json: json!({ "message": text }), text }
}

/// A field of a job's description as text; empty if it is missing.
fn field(job: &Value, name: &str) -> String {
    match &job[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
