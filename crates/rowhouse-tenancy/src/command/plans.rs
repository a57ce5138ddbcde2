//! `plans`: what tenants can book.

use clap::{Args, Subcommand};
use rowhouse_db::Transaction;
use rowhouse_kernel::Caller;
use rowhouse_module::{CannotRun, CommandGroup, CommandOutcome};
use serde::Serialize;
use tokio_postgres::Client;

use super::shown::{fields, table};
use super::{About, Items, Session, Subcommands, group, quota_text};
use crate::error::TenancyError;
use crate::flow::plan as flow;
use crate::store::plan::{self as store, Plan, PlanContent};
use crate::store::quota::Quota;

/// `plans …`.
pub(crate) const PLANS: CommandGroup = group::<PlansCommand>();

const COLUMNS: [&str; 5] = ["name", "title", "trial_days", "tenants", "updated_at"];
const QUOTAS: [&str; 4] = ["metric", "soft_limit", "hard_limit", "period"];

#[derive(Debug, Subcommand)]
enum PlansCommand {
    /// List the plans
    #[command(after_help = "Example:\n  rowhouse plans list")]
    List,
    /// Show a plan with its quotas
    #[command(after_help = "Example:\n  rowhouse plans show pro")]
    Show(Named),
    /// Make a plan or change it, for all of its tenants at once; what is left out stays
    #[command(
        after_help = "Example:\n  rowhouse plans set pro --title Pro --trial-days 14 --quota users=5 --quota api_calls=8000:10000/month\n  rowhouse plans set pro --quota users=10 --dry-run"
    )]
    Set(SetArgs),
    /// Remove a plan that no tenant has
    #[command(after_help = "Example:\n  rowhouse plans remove pro --dry-run")]
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
struct Named {
    /// The plan's name
    plan: String,
}

#[derive(Debug, Args)]
struct SetArgs {
    /// The plan's name, such as pro
    plan: String,
    /// For people; a new plan needs one
    #[arg(long)]
    title: Option<String>,
    /// Length of a trial
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i32).range(1..=365), conflicts_with = "no_trial")]
    trial_days: Option<i32>,
    /// Without a trial
    #[arg(long)]
    no_trial: bool,
    /// METRIC=[SOFT:]HARD[/PERIOD]; the period is day, month or none, a limit may be "unlimited". Replaces all quotas of the plan; may be repeated
    #[arg(long = "quota", value_name = "QUOTA", value_parser = quota_text::read, conflicts_with = "no_quotas")]
    quotas: Vec<Quota>,
    /// Without quotas
    #[arg(long)]
    no_quotas: bool,
    /// Print what it would be and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    /// The plan's name
    plan: String,
    /// Try it and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// A plan and how many tenants have it.
#[derive(Debug, Serialize)]
struct Booked {
    #[serde(flatten)]
    plan: Plan,
    tenants: i64,
}

impl Subcommands for PlansCommand {
    const ABOUT: About = About {
        name: "plans",
        about: "Plans that tenants can book, with their quotas",
        example: "rowhouse plans list",
    };

    async fn run(self, session: &Session<'_>) -> Result<CommandOutcome, CannotRun> {
        match self {
            Self::List => list(session).await,
            Self::Show(args) => show(session, &args.plan).await,
            Self::Set(args) => set(session, &args).await,
            Self::Remove(args) => remove(session, &args).await,
        }
    }
}

async fn booked(tx: &Client, plan: Plan) -> Result<Booked, TenancyError> {
    let tenants = store::count_tenants(tx, &plan.name).await?;
    Ok(Booked { plan, tenants })
}

async fn get(tx: &Client, name: &str) -> Result<Booked, TenancyError> {
    let plan = store::find(tx, name).await?.ok_or(TenancyError::Missing("plan"))?;
    booked(tx, plan).await
}

/// Its fields, and its quotas in a table.
fn shown(booked: &Booked) -> String {
    let Plan { name, title, trial_days, quotas, updated_at, .. } = &booked.plan;
    let about = serde_json::json!({
        "plan": name, "title": title, "trial_days": trial_days, "tenants": booked.tenants, "updated_at": updated_at,
    });
    format!("{}{}", fields(&about), table(&QUOTAS, quotas, "no quotas"))
}

async fn list(session: &Session<'_>) -> Result<CommandOutcome, CannotRun> {
    let list = async |tx: &Transaction<'_>, _: &Caller| {
        let mut items = Vec::new();
        for plan in store::list(tx, None).await? {
            items.push(booked(tx, plan).await?);
        }
        Ok::<_, TenancyError>(Items { items })
    };
    let shown = |found: &Items<Booked>| table(&COLUMNS, &found.items, "no plans");
    session.run("tenancy.list_plans", list, shown).await
}

async fn show(session: &Session<'_>, name: &str) -> Result<CommandOutcome, CannotRun> {
    let find = async |tx: &Transaction<'_>, _: &Caller| get(tx, name).await;
    session.run("tenancy.find_plan", find, shown).await
}

async fn set(session: &Session<'_>, args: &SetArgs) -> Result<CommandOutcome, CannotRun> {
    let put = async |tx: &Transaction<'_>, caller: &Caller| {
        let before = store::find(tx, &args.plan).await?;
        let title = args.title.as_deref().or(before.as_ref().map(|plan| plan.title.as_str()));
        let title = title.ok_or_else(|| TenancyError::Invalid("--title: a new plan needs one".to_owned()))?;
        let trial_days = args.trial_days.or(before.as_ref().and_then(|plan| plan.trial_days));
        let kept = before.as_ref().map(|plan| plan.quotas.as_slice()).unwrap_or_default();
        let keeps = args.quotas.is_empty() && !args.no_quotas;
        let content = PlanContent {
            title,
            trial_days: trial_days.filter(|_| !args.no_trial),
            quotas: if keeps { kept } else { &args.quotas },
        };
        let plan = flow::put(tx, caller, &args.plan, &content).await?;
        booked(tx, plan).await
    };
    session.run_or_try(("tenancy.put_plan", args.dry_run), put, shown).await
}

async fn remove(session: &Session<'_>, args: &RemoveArgs) -> Result<CommandOutcome, CannotRun> {
    let remove = async |tx: &Transaction<'_>, caller: &Caller| {
        let removed = get(tx, &args.plan).await?;
        flow::remove(tx, caller, &args.plan).await?;
        Ok::<_, TenancyError>(removed)
    };
    session.run_or_try(("tenancy.remove_plan", args.dry_run), remove, shown).await
}
