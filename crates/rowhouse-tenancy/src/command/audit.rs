//! `audit`: reading, exporting and verifying the audit log. The statements are left to `rowhouse-audit`.

mod argument;
mod export;
mod progress;
mod verify;

use clap::{ArgMatches, Command, FromArgMatches, Subcommand};
use rowhouse_audit::{Entry, Record, find_retention, set_retention, write_about};
use rowhouse_db::{DbError, Transaction};
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome};
use serde_json::{Map, json};
use time::format_description::well_known::Rfc3339;

use argument::{AuditCommand, ListArgs, RetentionArgs};

/// `audit …` on the command line.
pub(crate) const AUDIT: CommandGroup = CommandGroup { command, run };

fn command() -> Command {
    let command = AuditCommand::augment_subcommands(Command::new("audit"));
    command
        .about("Read, export and verify the audit log")
        .after_help("Example:\n  rowhouse audit list --since 2026-11-01")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        match AuditCommand::from_arg_matches(matches)? {
            AuditCommand::List(args) => list(context, &args).await,
            AuditCommand::Export(args) => export::run(context, &args).await,
            AuditCommand::Verify(args) => verify::run(context, &args).await,
            AuditCommand::Newest(args) => verify::newest(context, args.organization).await,
            AuditCommand::Retention(args) => retention(context, &args).await,
        }
    })
}

async fn list(context: &CommandContext, args: &ListArgs) -> Result<CommandOutcome, CannotRun> {
    let client = context.connect().await?;
    let entries = rowhouse_audit::list(&client, &args.filter.filter(), None, args.limit).await?;
    let lines: Vec<String> = entries.iter().map(line).collect();
    Ok(CommandOutcome::yes(json!({ "entries": entries }), lines.join("\n")))
}

fn line(entry: &Record) -> String {
    let at = entry.occurred_at.format(&Rfc3339).unwrap_or_default();
    let Record { actor, action, target_kind, target_id, .. } = entry;
    format!("{at:<27}  {action:<24}  {target_kind} {target_id}  by {actor}")
}

/// Changes the retention if one is given, and shows it.
async fn retention(context: &CommandContext, args: &RetentionArgs) -> Result<CommandOutcome, CannotRun> {
    let organization = args.organization;
    if args.default || args.days.is_some() {
        let days = args.days;
        let change = async move |tx: &Transaction<'_>| {
            set_retention(tx, organization, days).await?;
            let target_id = &organization.to_string();
            let details: Map<_, _> = [("days".to_owned(), json!(days))].into_iter().collect();
            let action = "audit_retention_changed";
            let entry = Entry {
                source: "tenancy",
                action,
                target_kind: "audit_log",
                target_id,
                tenant: None,
                details,
            };
            write_about(tx, organization, entry).await.map(|_| ())
        };
        let operation = context.origin().operation("tenancy.set_audit_retention");
        context.control()?.run_tx::<_, DbError>(&operation, change).await?;
    }
    let client = context.connect().await?;
    let days = find_retention(&client, organization).await?;
    let text = days.map_or_else(|| "as audit.retention says".to_owned(), |days| format!("{days} days"));
    Ok(CommandOutcome::yes(json!({ "organization_id": organization, "days": days }), text))
}
