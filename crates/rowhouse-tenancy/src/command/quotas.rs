//! `quotas`: how much a tenant may use, and has used.

use clap::{Args, Subcommand};
use rowhouse_db::Transaction;
use rowhouse_kernel::{Caller, TenantId};
use rowhouse_module::{CannotRun, CommandGroup, CommandOutcome};

use super::shown::{fields, table};
use super::{About, Items, Session, Subcommands, group, quota_text};
use crate::error::TenancyError;
use crate::flow::quota::{self as flow, QuotaChange, Quotas};
use crate::flow::tenant;
use crate::permission::Permission;
use crate::store::quota::{self as store, Quota, Used};

/// `quotas …`.
pub(crate) const QUOTAS: CommandGroup = group::<QuotasCommand>();

const COLUMNS: [&str; 7] = ["metric", "used", "soft_limit", "hard_limit", "remaining", "period", "is_own"];
const USED: [&str; 4] = ["metric", "period", "period_start", "used"];

#[derive(Debug, Subcommand)]
enum QuotasCommand {
    /// Show the plan of a tenant, its quotas, and what is used of each
    #[command(after_help = "Example:\n  rowhouse quotas show 0198c0de-…")]
    Show(TenantArgs),
    /// Give a tenant a plan, or quotas of its own in the place of its plan's; what is left out stays
    #[command(
        after_help = "Example:\n  rowhouse quotas set 0198c0de-… --plan pro --start-trial\n  rowhouse quotas set 0198c0de-… --quota users=25 --quota storage=unlimited/none --dry-run"
    )]
    Set(SetArgs),
    /// List what was used, the newest period first
    #[command(after_help = "Example:\n  rowhouse quotas usage 0198c0de-… --metric api_calls")]
    Usage(UsageArgs),
}

#[derive(Debug, Args)]
struct TenantArgs {
    /// The tenant's id
    tenant: TenantId,
}

#[derive(Debug, Args)]
struct SetArgs {
    /// The tenant's id
    tenant: TenantId,
    /// Its plan
    #[arg(long, conflicts_with = "no_plan")]
    plan: Option<String>,
    /// Take its plan
    #[arg(long)]
    no_plan: bool,
    /// Begin the trial of the plan now
    #[arg(long)]
    start_trial: bool,
    /// METRIC=[SOFT:]HARD[/PERIOD]; the period is day, month or none, a limit may be "unlimited". Replaces all quotas of its own; may be repeated
    #[arg(long = "quota", value_name = "QUOTA", value_parser = quota_text::read, conflicts_with = "no_quotas")]
    quotas: Vec<Quota>,
    /// Without quotas of its own
    #[arg(long)]
    no_quotas: bool,
    /// Print what it would be and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct UsageArgs {
    /// The tenant's id
    tenant: TenantId,
    /// Of this metric
    #[arg(long)]
    metric: Option<String>,
    /// Most to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl Subcommands for QuotasCommand {
    const ABOUT: About = About {
        name: "quotas",
        about: "How much a tenant may use, and has used",
        example: "rowhouse quotas show 0198c0de-…",
    };

    async fn run(self, session: &Session<'_>) -> Result<CommandOutcome, CannotRun> {
        match self {
            Self::Show(args) => show(session, args.tenant).await,
            Self::Set(args) => set(session, &args).await,
            Self::Usage(args) => usage(session, &args).await,
        }
    }
}

fn shown(found: &Quotas) -> String {
    let about = serde_json::json!({ "plan": found.plan, "trial_ends_at": found.trial_ends_at });
    format!("{}{}", fields(&about), table(&COLUMNS, &found.quotas, "no quotas"))
}

async fn show(session: &Session<'_>, tenant: TenantId) -> Result<CommandOutcome, CannotRun> {
    let find = async |tx: &Transaction<'_>, caller: &Caller| flow::get(tx, caller, tenant).await;
    session.run("tenancy.find_quotas", find, shown).await
}

async fn set(session: &Session<'_>, args: &SetArgs) -> Result<CommandOutcome, CannotRun> {
    let has_quotas = args.no_quotas || !args.quotas.is_empty();
    if !(has_quotas || args.start_trial || args.no_plan || args.plan.is_some()) {
        return Err(CannotRun::because(
            "nothing to change: give --plan, --no-plan, --start-trial, --quota or --no-quotas",
        ));
    }
    let plan = args.plan.as_deref().map(Some).or(args.no_plan.then_some(None));
    let wanted = QuotaChange {
        plan,
        starts_trial: args.start_trial,
        quotas: has_quotas.then_some(args.quotas.as_slice()),
    };
    let change =
        async |tx: &Transaction<'_>, caller: &Caller| flow::change(tx, caller, args.tenant, &wanted).await;
    session.run_or_try(("tenancy.change_quotas", args.dry_run), change, shown).await
}

async fn usage(session: &Session<'_>, args: &UsageArgs) -> Result<CommandOutcome, CannotRun> {
    let list = async |tx: &Transaction<'_>, caller: &Caller| {
        tenant::get(tx, caller, args.tenant, Permission::TenantView).await?;
        let found = store::list_past_usage(tx, args.tenant, args.metric.as_deref(), None, args.limit).await?;
        Ok::<_, TenancyError>(Items { items: found.into_iter().map(|(used, _)| used).collect() })
    };
    let shown = |found: &Items<Used>| table(&USED, &found.items, "nothing was counted");
    session.run("tenancy.list_usage", list, shown).await
}
