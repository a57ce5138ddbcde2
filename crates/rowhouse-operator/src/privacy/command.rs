//! `users export`, `users erase` and `users replay-erasures`.

use std::path::PathBuf;

use clap::Args;
use rowhouse_db::{DbError, Transaction};
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome, counted};
use rowhouse_tenancy::export::Stamp;
use rowhouse_tenancy::export::file::Target;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::list::{self, Erased};
use super::store::{self, TableRows};

/// `users export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The user's id or address
    user: String,
    /// A new file instead of the output: an archive with a file for each table if it ends in .zip, else lines of JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// `users erase`.
#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// The user's id or address
    user: String,
    /// Why, for the audit log
    #[arg(long, default_value = "asked for by the user")]
    reason: String,
    /// Print what would be deleted and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    list: ListArgs,
}

/// Where the list of erased users is.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The list of erased users [default: .rowhouse/erasures.ndjson]
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
}

impl ListArgs {
    fn path(&self, context: &CommandContext) -> Result<PathBuf, CannotRun> {
        match &self.list {
            Some(path) => Ok(path.clone()),
            None => {
                context.project.ensure_private()?;
                Ok(context.project.private(list::NAME))
            }
        }
    }
}

/// Notes the export in the audit log, then writes it.
pub(crate) async fn export(context: &CommandContext, args: &ExportArgs) -> Result<CommandOutcome, CannotRun> {
    let Some(user) = find(context, &args.user).await? else { return Ok(nobody()) };
    let target = Target::open(args.out.as_deref())?;
    let note = async |tx: &Transaction<'_>| store::note_export(tx, user).await;
    context.control()?.run_tx(&context.origin().operation("users.export"), note).await?;
    let client = context.connect().await?;
    target.write(&client, store::subject(user), Stamp::from(&context.origin())).await
}

/// Writes the list first: what is erased in the database is in the list, whatever happens in between.
pub(crate) async fn erase(context: &CommandContext, args: &EraseArgs) -> Result<CommandOutcome, CannotRun> {
    let Some(user) = find(context, &args.user).await? else { return Ok(nobody()) };
    // What is refused is not listed.
    let tried = run(context, user, &args.reason, true).await?;
    let tables = match tried {
        Err(refusal) => return Ok(refusal),
        Ok(tables) if args.dry_run => tables,
        Ok(_) => {
            let requested_at = context.clock.now().format(&Rfc3339).unwrap_or_default();
            let erased = Erased { user_id: user, reason: args.reason.clone(), requested_at };
            list::append(&args.list.path(context)?, &erased)?;
            match run(context, user, &args.reason, false).await? {
                Ok(tables) => tables,
                Err(refusal) => return Ok(refusal),
            }
        }
    };
    let verb = if args.dry_run { "would erase" } else { "erased" };
    let mut text = format!("{verb} the user {user}");
    tables.iter().for_each(|table| text.push_str(&table.line()));
    Ok(CommandOutcome::yes(json!({ "user_id": user, "dry_run": args.dry_run, "tables": tables }), text))
}

/// Erases those of the list who are there again after a restore.
pub(crate) async fn replay(context: &CommandContext, args: &ListArgs) -> Result<CommandOutcome, CannotRun> {
    let path = args.path(context)?;
    let listed = list::read(&path)?;
    let (mut erased, mut refused) = (Vec::new(), Vec::new());
    for one in &listed {
        if !is_back(context, one.user_id).await? {
            continue;
        }
        match run(context, one.user_id, &one.reason, false).await? {
            Ok(_) => erased.push(one.user_id),
            Err(refusal) => refused.push(json!({ "user_id": one.user_id, "message": refusal.text })),
        }
    }
    let count = u64::try_from(erased.len()).unwrap_or_default();
    let all = counted(u64::try_from(listed.len()).unwrap_or_default(), "user", "users");
    let mut text = format!("erased {count} of {all} in {}", path.display());
    refused.iter().for_each(|one| text.push_str(&format!("\n  not {}: {}", one["user_id"], one["message"])));
    let yes = refused.is_empty();
    let document = json!({ "listed": listed.len(), "erased": erased, "refused": refused });
    Ok(CommandOutcome { yes, json: document, text })
}

fn nobody() -> CommandOutcome {
    refusal("there is no such user".to_owned())
}

fn refusal(text: String) -> CommandOutcome {
    CommandOutcome { yes: false, json: json!({ "message": text }), text }
}

async fn find(context: &CommandContext, name: &str) -> Result<Option<Uuid>, CannotRun> {
    let find = async |client: &tokio_postgres::Client| store::find_user(client, name).await;
    Ok(context.control()?.statement(&context.origin().operation("users.find"), find).await?)
}

async fn is_back(context: &CommandContext, user: Uuid) -> Result<bool, CannotRun> {
    let ask = async |client: &tokio_postgres::Client| store::is_back(client, user).await;
    Ok(context.control()?.statement(&context.origin().operation("users.find"), ask).await?)
}

/// Erases a user, or counts; the database's refusal is an outcome.
async fn run(
    context: &CommandContext,
    user: Uuid,
    reason: &str,
    dry_run: bool,
) -> Result<Result<Vec<TableRows>, CommandOutcome>, CannotRun> {
    let erase = async |tx: &Transaction<'_>| store::erase(tx, user, reason, dry_run).await;
    let done = context.control()?.run_tx(&context.origin().operation("users.erase"), erase).await;
    match done {
        Ok(tables) => Ok(Ok(tables)),
        Err(DbError::Refused(refused)) if ["55000", "P0002", "23514"].contains(&refused.code.as_str()) => {
            Ok(Err(refusal(refused.message.clone())))
        }
        Err(error) => Err(error.into()),
    }
}
