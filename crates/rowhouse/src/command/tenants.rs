//! `tenants`: what a tenant may use. A running server hears of every change.

use rowhouse_kernel::TenantId;
use rowhouse_tenancy::limit::{self, Limits};
use serde_json::{Value, json};

use crate::cli::LimitsArgs;
use crate::command::migrate::connect_project;
use rowhouse_module::Project;
use rowhouse_module::{CannotRun, Outcome};

/// Changes the limits that are given, if any, and shows all.
pub(super) async fn limits(project: &Project, args: &LimitsArgs) -> Result<Outcome, CannotRun> {
    let client = connect_project(project).await?;
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
    Ok(Outcome::yes(document(tenant, &limits), text(&limits)))
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
