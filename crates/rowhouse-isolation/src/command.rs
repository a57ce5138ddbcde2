//! `rls …`: what the catalogs say about isolation, and what attacks show, with exit code 1 if tenants can reach each other's
//! rows. Leaves the audit itself to `audit`, and proofs to `prove`.

mod proof;
mod shown;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome};
use serde_json::{Value, json};

use crate::audit::{Scope, audit_read_only};
use crate::check::{Severity, all};
use crate::report::Report;

/// `rls …`.
pub(crate) const RLS: CommandGroup = CommandGroup { command, run };

#[derive(Debug, Subcommand)]
enum RlsCommand {
    /// Look for what lets tenants reach each other's rows; exit code 1 if there is an error among the findings
    #[command(
        after_help = "Example:\n  rowhouse rls audit\n  rowhouse rls audit --schema public --json | jq -r '.findings[].fix // empty'"
    )]
    Audit(AuditArgs),
    /// Attack generated tenants in a transaction that is rolled back; exit code 1 if something gets through or is unproven
    #[command(
        after_help = "Example:\n  rowhouse rls prove\n  rowhouse rls prove --http --html isolation.html\n  rowhouse rls prove --mutate --json | jq .kill_rate"
    )]
    Prove(proof::ProveArgs),
}

#[derive(Debug, Args)]
struct AuditArgs {
    /// Only this schema, by its name as it is stored; may be repeated [default: all but PostgreSQL's own]
    #[arg(long, value_name = "NAME")]
    schema: Vec<String>,
}

fn command() -> Command {
    RlsCommand::augment_subcommands(Command::new("rls"))
        .about("Row-level security: what the catalogs say about isolation, and what attacks show")
        .after_help("Example:\n  rowhouse rls audit")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        match RlsCommand::from_arg_matches(matches)? {
            RlsCommand::Audit(args) => audit(context, args).await,
            RlsCommand::Prove(args) => proof::run(context, args).await,
        }
    })
}

async fn audit(context: &CommandContext, args: AuditArgs) -> Result<CommandOutcome, CannotRun> {
    let scope = Scope { schemas: args.schema, ..Scope::of(&context.settings()?)? };
    let client = context.connect().await?;
    let report = audit_read_only(&client, &scope).await?;
    Ok(CommandOutcome { yes: report.passes(), json: document(&report), text: shown::report(&report) })
}

fn document(report: &Report) -> Value {
    json!({
        "verdict": if report.passes() { "pass" } else { "fail" },
        "findings": report.findings,
        "counts": {
            "error": report.count(Severity::Error),
            "warning": report.count(Severity::Warning),
            "info": report.count(Severity::Info),
        },
        "waived": report.waived,
        "unused_waivers": report.unused_waivers,
        "coverage": {
            "schemas": report.schemas,
            "relations": report.relations,
            "policies": report.policies,
            "checks": all().count(),
        },
    })
}
