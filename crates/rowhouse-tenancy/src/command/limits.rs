//! `tenants limits`. A running server is notified of every change.

use std::time::Duration;

use clap::Args;
use rowhouse_kernel::TenantId;
use rowhouse_kernel::settings::Setting;
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::{Value, json};

use crate::limit::{self, Limits};

/// `tenants limits`.
#[derive(Debug, Args)]
pub(super) struct LimitsArgs {
    /// The tenant's id
    tenant: TenantId,
    /// Longest run of a statement, from 1ms to 1d
    #[arg(long, value_name = "DURATION", value_parser = statement_timeout)]
    statement_timeout: Option<Duration>,
    /// Most rows that one response carries or one write touches
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(i64).range(1..))]
    max_rows: Option<i64>,
    /// Highest estimated cost of a query that is run, in the planner's units
    #[arg(long, value_name = "COST", value_parser = cost)]
    max_cost: Option<f64>,
    /// Remove the limits set before; with other options, keep only those
    #[arg(long)]
    clear: bool,
}

fn statement_timeout(text: &str) -> Result<Duration, String> {
    let timeout = <Duration as Setting>::from_text(text)?;
    let fits = Duration::from_millis(1) <= timeout && timeout <= Duration::from_secs(86_400);
    if fits { Ok(timeout) } else { Err("expected a duration from 1ms to 1d".to_owned()) }
}

fn cost(text: &str) -> Result<f64, String> {
    let cost: Option<f64> = text.parse().ok().filter(|cost: &f64| cost.is_finite() && *cost > 0.0);
    cost.ok_or_else(|| format!("expected a number above 0, found \"{text}\""))
}

/// Changes the limits that are given, if any, and shows all.
pub(super) async fn run(context: &CommandContext, args: &LimitsArgs) -> Result<CommandOutcome, CannotRun> {
    let client = context.connect().await?;
    let tenant = args.tenant;
    let missing = || CannotRun::because(format!("no tenant {tenant}"));
    let before = limit::find(&client, tenant).await?.ok_or_else(missing)?;
    let given = Limits {
        statement_timeout: args.statement_timeout,
        max_rows: args.max_rows,
        max_cost: args.max_cost,
    };
    let limits = if args.clear { given } else { given.or(before) };
    if limits != before {
        limit::replace(&client, tenant, limits).await?;
    }
    Ok(CommandOutcome::yes(document(tenant, &limits), text(&limits)))
}

fn document(tenant: TenantId, limits: &Limits) -> Value {
    json!({
        "tenant_id": tenant,
        "statement_timeout_ms": limits.statement_timeout.map(|timeout| timeout.as_millis() as u64),
        "max_rows": limits.max_rows,
        "max_cost": limits.max_cost,
    })
}

fn text(limits: &Limits) -> String {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    format!(
        "statement timeout  {}\nmax rows           {}\nmax cost           {}",
        shown(limits.statement_timeout.map(|timeout| format!("{} ms", timeout.as_millis()))),
        shown(limits.max_rows.map(|rows| rows.to_string())),
        shown(limits.max_cost.map(|cost| cost.to_string())),
    )
}
