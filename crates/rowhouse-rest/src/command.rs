//! `rest explain`: the SQL of a request; with `--as`, its plan, policies and hints.

mod ask;
mod request;

use std::sync::Arc;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use rowhouse_db::DbSettings;
use rowhouse_db::catalog::{self, Snapshot};
use rowhouse_db::flight::{self, Query};
use rowhouse_kernel::Caller;
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome};
use rowhouse_tenancy::limit::TenantLimits;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::explain::{ExplainReport, Prepared};
use crate::settings::RestSettings;
use crate::{ErrorResponse, LimitSources};
use request::Request;

/// `rest …` on the command line.
pub(crate) const GROUP: CommandGroup = CommandGroup { command, run };

/// `rest …`.
#[derive(Debug, Subcommand)]
enum RestCommand {
    /// Print the SQL of a request; with --as, also its plan, the applied policies and hints
    #[command(
        after_help = "Example:\n  rowhouse rest explain 'GET /todos?select=id,title&done=is.false' --as ann@example.com\n  rowhouse rest explain 'DELETE /todos?id=eq.1' --as ann@example.com --tenant acme --analyze\n  rowhouse rest explain 'POST /todos' --body '{\"title\":\"x\"}' --as service_role"
    )]
    Explain(ExplainArgs),
}

/// `rest explain`.
#[derive(Debug, Args)]
struct ExplainArgs {
    /// Method and path with query, in one argument
    request: String,
    /// Run as this user (e-mail address or id) or role (anon, service_role, …)
    #[arg(long = "as", value_name = "USER|ROLE")]
    who: Option<String>,
    /// The user's tenant [default: that of the oldest active membership]
    #[arg(long, value_name = "SLUG|ID", requires = "who")]
    tenant: Option<String>,
    /// Run the request to measure it; its changes are rolled back
    #[arg(long, requires = "who")]
    analyze: bool,
    /// The body of a write
    #[arg(long, alias = "data", value_name = "TEXT")]
    body: Option<String>,
    /// A header of the request; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
}

fn command() -> Command {
    let command = RestCommand::augment_subcommands(Command::new("rest"));
    command
        .about("Explain what the data API makes of a request")
        .after_help("Example:\n  rowhouse rest explain 'GET /todos?limit=10'")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        match RestCommand::from_arg_matches(matches)? {
            RestCommand::Explain(args) => explain(context, &args).await,
        }
    })
}

async fn explain(context: &CommandContext, args: &ExplainArgs) -> Result<CommandOutcome, CannotRun> {
    let settings = context.settings()?;
    let request = Request::read(args)?;
    let caller = match &args.who {
        Some(who) => Some(ask::caller(context, who, args.tenant.as_deref()).await?),
        None => None,
    };
    let client = context.connect().await?;
    let rest = settings.get::<RestSettings>();
    let snapshot = catalog::load(&client, &rest.schemas).await?;
    let Some(caller) = caller else { return statement_only(&request, &snapshot, &rest) };
    let limits = limits(&client, &settings).await?;
    let prepared = crate::explain::prepare(&request.sample(), &caller, &limits, &snapshot, &rest)
        .map_err(|failure| refused(&failure))?;
    let report = ask::ask(context, &client, &caller, &request, &prepared, args.analyze).await?;
    shown(args, &caller, &prepared, &report)
}

async fn limits(client: &Client, settings: &Settings) -> Result<LimitSources, CannotRun> {
    let tenants = Arc::new(TenantLimits::default());
    tenants.reload(client).await?;
    Ok(LimitSources {
        default_timeout: settings.get::<DbSettings>().statement_timeout,
        tenants,
        plans_for_all: true,
    })
}

fn refused(failure: &ErrorResponse) -> CannotRun {
    CannotRun::because(format!("{} {}: {}", failure.status.as_u16(), failure.code, failure.message))
}

fn params(query: &Query) -> Vec<Option<String>> {
    let text = |value: &bytes::Bytes| String::from_utf8_lossy(value).into_owned();
    query.params.iter().map(|value| value.as_ref().map(text)).collect()
}

fn document(query: &Query) -> Value {
    json!({ "sql": &*query.sql, "params": params(query) })
}

fn opening() -> Value {
    let (opening, names) = flight::opening();
    json!({ "sql": &*opening, "parameters": names })
}

/// The SQL of a request, whoever sends it.
fn statement_only(
    request: &Request,
    snapshot: &Snapshot,
    settings: &RestSettings,
) -> Result<CommandOutcome, CannotRun> {
    let explained =
        crate::explain(&request.sample(), snapshot, settings).map_err(|failure| refused(&failure))?;
    let (context, _) = flight::opening();
    let values = params(&explained.query);
    let values: String =
        values.iter().enumerate().map(|(i, value)| format!("-- ${} = {value:?}\n", i + 1)).collect();
    let text =
        format!("-- context, in the same round trip\n{context};\n-- query\n{values}{};", explained.query.sql);
    Ok(CommandOutcome::yes(json!({ "context": opening(), "query": document(&explained.query) }), text))
}

fn shown(
    args: &ExplainArgs,
    caller: &Caller,
    prepared: &Prepared,
    report: &ExplainReport,
) -> Result<CommandOutcome, CannotRun> {
    let mut json_report = serde_json::to_value(report)?;
    json_report["request"] = json!(args.request);
    json_report["analyzed"] = json!(args.analyze);
    json_report["context"] = opening();
    json_report["before"] = json!(prepared.before.as_ref().map(document));
    json_report["query"] = document(&prepared.query);
    let [user, tenant] = [caller.user.map(|id| id.to_string()), caller.tenant.map(|id| id.to_string())];
    json_report["caller"] = json!({ "role": &*caller.role, "user": user, "tenant": tenant });
    let who = args.who.as_deref().unwrap_or_default();
    let tenant = tenant.map(|tenant| format!(" in tenant {tenant}")).unwrap_or_default();
    let mut text =
        format!("{} as {who} ({}{tenant})\n\nSQL\n  {}\n", args.request, caller.role, prepared.query.sql);
    for (place, value) in params(&prepared.query).iter().enumerate() {
        text.push_str(&format!("  ${} = {}\n", place + 1, value.as_deref().unwrap_or("null")));
    }
    text.push_str(&format!("\n{report}"));
    Ok(CommandOutcome::yes(json_report, text))
}
