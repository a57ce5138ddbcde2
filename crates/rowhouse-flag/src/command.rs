//! `flags`: the same functions as the admin API's routes, for operators at a terminal.

mod arguments;
mod shown;

use clap::{ArgMatches, Command, FromArgMatches, Subcommand};
use rowhouse_db::{DbError, Transaction, TransactionError};
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome};
use serde_json::json;
use tokio_postgres::Client;

use crate::definition::Flag;
use crate::flow::{self, FlagError};
use crate::overriding;
use crate::store;
use arguments::{EvaluateArgs, FlagsCommand, ListArgs, OverrideArgs, SetArgs, ShowArgs, UnsetArgs};

/// Overrides shown with a flag.
const SHOWN_OVERRIDES: u32 = 100;
/// More than there are.
const ALL_FLAGS: u32 = 10_000;

/// `flags …`.
pub(crate) const FLAGS: CommandGroup = CommandGroup { command, run };

fn command() -> Command {
    let command = FlagsCommand::augment_subcommands(Command::new("flags"));
    command
        .about("Feature flags: for whom what is on")
        .after_help("Example:\n  rowhouse flags list")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        match FlagsCommand::from_arg_matches(matches)? {
            FlagsCommand::List(args) => list(context, &args).await,
            FlagsCommand::Show(args) => show(context, &args).await,
            FlagsCommand::Set(args) => set(context, &args).await,
            FlagsCommand::Override(args) => set_override(context, &args).await,
            FlagsCommand::Unset(args) => unset(context, &args).await,
            FlagsCommand::Delete(args) => delete(context, &args).await,
            FlagsCommand::Evaluate(args) => evaluate(context, &args).await,
        }
    })
}

impl From<FlagError> for CannotRun {
    fn from(error: FlagError) -> Self {
        Self::because(error.to_string())
    }
}

/// The outcome, or that it is not there (exit code 1).
fn outcome(result: Result<CommandOutcome, FlagError>) -> Result<CommandOutcome, CannotRun> {
    match result {
        Err(error @ (FlagError::NoFlag | FlagError::NoOverride | FlagError::NoSubject(_))) => {
            let text = error.to_string();
            Ok(CommandOutcome { yes: false, json: json!({ "message": text }), text })
        }
        other => Ok(other?),
    }
}

async fn list(context: &CommandContext, args: &ListArgs) -> Result<CommandOutcome, CannotRun> {
    let client = context.connect().await?;
    let mut flags = store::list(&client, args.search.as_deref().unwrap_or_default(), None, ALL_FLAGS).await?;
    if args.past_sunset {
        flags.retain(|flag| flag.is_past_sunset);
    }
    Ok(CommandOutcome::yes(json!({ "flags": flags }), shown::list(&flags)))
}

async fn show(context: &CommandContext, args: &ShowArgs) -> Result<CommandOutcome, CannotRun> {
    let client = context.connect().await?;
    outcome(described(&client, &args.name).await)
}

async fn described(client: &Client, name: &str) -> Result<CommandOutcome, FlagError> {
    let flag = flow::get(client, name).await?;
    let overrides = overriding::list(client, name, None, SHOWN_OVERRIDES).await?;
    let text = shown::flag(&flag, &overrides);
    Ok(CommandOutcome::yes(json!({ "flag": flag, "overrides": overrides }), text))
}

/// Changes the flag, or makes it if there is none and kind and owner are given.
async fn set(context: &CommandContext, args: &SetArgs) -> Result<CommandOutcome, CannotRun> {
    let change = args.change();
    let set = async |tx: &Transaction<'_>| match store::lock(tx, &args.name).await? {
        Some(_) if args.kind.is_some() => {
            Err(FlagError::Invalid("--kind: the kind of an existing flag stays; delete it first".to_owned()))
        }
        Some(before) => flow::change(tx, &before, &change).await,
        None => flow::create(tx, &args.name, &args.fields(&change)?).await,
    };
    let flag: Flag = in_transaction(context, "flags.set", set).await?;
    let text = shown::flag(&flag, &[]);
    Ok(CommandOutcome::yes(json!({ "flag": flag }), text))
}

async fn set_override(context: &CommandContext, args: &OverrideArgs) -> Result<CommandOutcome, CannotRun> {
    let set = async |tx: &Transaction<'_>| {
        let set = flow::set_override(tx, &args.name, args.subject, &args.value).await?;
        let text = format!("{} is {} for {}", args.name, set.value, args.subject);
        Ok(CommandOutcome::yes(json!({ "override": set }), text))
    };
    outcome(in_transaction(context, "flags.set_override", set).await)
}

async fn unset(context: &CommandContext, args: &UnsetArgs) -> Result<CommandOutcome, CannotRun> {
    let unset = async |tx: &Transaction<'_>| {
        flow::remove_override(tx, &args.name, args.subject).await?;
        let text = format!("{} has no override for {} any more", args.name, args.subject);
        Ok(CommandOutcome::yes(json!({ "removed": args.subject.to_string() }), text))
    };
    outcome(in_transaction(context, "flags.remove_override", unset).await)
}

async fn delete(context: &CommandContext, args: &ShowArgs) -> Result<CommandOutcome, CannotRun> {
    let delete = async |tx: &Transaction<'_>| {
        flow::delete(tx, &args.name).await?;
        Ok(CommandOutcome::yes(json!({ "deleted": args.name }), format!("{} is deleted", args.name)))
    };
    outcome(in_transaction(context, "flags.delete", delete).await)
}

/// Exit code 1 if it is off.
async fn evaluate(context: &CommandContext, args: &EvaluateArgs) -> Result<CommandOutcome, CannotRun> {
    let client = context.connect().await?;
    let found = store::evaluate(&client, &args.name, args.organization, args.tenant, args.user).await?;
    let yes = found["enabled"] == true;
    let text = shown::evaluation(&args.name, &found);
    Ok(CommandOutcome { yes, json: found, text })
}

async fn in_transaction<T, E: TransactionError>(
    context: &CommandContext,
    name: &'static str,
    body: impl AsyncFn(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let control = context.control().map_err(|error| DbError::Unavailable(error.to_string().into()))?;
    control.run_tx(&context.origin().operation(name), body).await
}
