//! `tenants`: tenants and what they may use.

use clap::{Args, Subcommand};
use rowhouse_db::Transaction;
use rowhouse_kernel::{Caller, TenantId};
use rowhouse_module::{CannotRun, CommandGroup, CommandOutcome};

use super::erase::{self, EraseArgs};
use super::export::{self, ExportArgs};
use super::limits::{self, LimitsArgs};
use super::orgs::{ListArgs, named};
use super::provisioning;
use super::shown::{fields, table};
use super::{About, Items, Session, Subcommands, group};
use crate::error::TenancyError;
use crate::flow::{organization, tenant as flow};
use crate::permission::Permission;
use crate::settings::TenancySettings;
use crate::store::search::Search;
use crate::store::status::Step;
use crate::store::tenant::{self as store, Listed, Tenant};

/// `tenants …`.
pub(crate) const TENANTS: CommandGroup = group::<TenantsCommand>();

const COLUMNS: [&str; 6] = ["id", "organization_id", "slug", "name", "status", "created_at"];

#[derive(Debug, Subcommand)]
enum TenantsCommand {
    /// List tenants, in pages
    #[command(after_help = "Example:\n  rowhouse tenants list --org acme --status suspended")]
    List {
        /// Of this organization: its slug or id
        #[arg(long)]
        org: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a tenant
    #[command(after_help = "Example:\n  rowhouse tenants show 0198c0de-…")]
    Show(Named),
    /// Make a tenant
    #[command(after_help = "Example:\n  rowhouse tenants create acme Sales --slug sales")]
    Create(CreateArgs),
    /// Close a tenant to its members at once
    #[command(after_help = "Example:\n  rowhouse tenants suspend 0198c0de-… --reason abuse")]
    Suspend {
        #[command(flatten)]
        tenant: Named,
        /// Why, for operators
        #[arg(long)]
        reason: String,
    },
    /// Open a suspended or cancelled one again
    #[command(after_help = "Example:\n  rowhouse tenants reactivate 0198c0de-…")]
    Reactivate(Named),
    /// Delete a tenant; it can be restored for tenancy.restore_window
    #[command(after_help = "Example:\n  rowhouse tenants delete 0198c0de-…")]
    Delete(Named),
    /// Take a deletion back
    #[command(after_help = "Example:\n  rowhouse tenants restore 0198c0de-…")]
    Restore(Named),
    /// Provision a tenant that was not, or again after a rollback: a job does it
    #[command(after_help = "Example:\n  rowhouse tenants provision 0198c0de-…")]
    Provision(Named),
    /// Show how far a tenant's provisioning is, step by step; also of a tenant that was rolled back
    #[command(after_help = "Example:\n  rowhouse tenants provisioning 0198c0de-… --json")]
    Provisioning(Named),
    /// Write all rows of a tenant as lines of JSON, or as an archive
    #[command(after_help = "Example:\n  rowhouse tenants export 0198c0de-… --out acme.zip")]
    Export(ExportArgs),
    /// Delete all rows of a deleted tenant for good, before tenancy.restore_window has passed
    #[command(after_help = "Example:\n  rowhouse tenants erase 0198c0de-… --dry-run")]
    Erase(EraseArgs),
    /// Show or set the limits of a tenant's callers of the data API; a running server applies them at once
    #[command(
        after_help = "Example:\n  rowhouse tenants limits 0198c0de-… --statement-timeout 2s --max-rows 1000 --max-cost 100000\n  rowhouse tenants limits 0198c0de-… --clear"
    )]
    Limits(LimitsArgs),
}

#[derive(Debug, Args)]
struct Named {
    /// The tenant's id
    tenant: TenantId,
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The organization's slug or id
    organization: String,
    /// Its name
    name: String,
    /// Its name in URLs; follows from the name
    #[arg(long)]
    slug: Option<String>,
}

impl Subcommands for TenantsCommand {
    const ABOUT: About = About {
        name: "tenants",
        about: "Tenants and what they may use",
        example: "rowhouse tenants list --org acme",
    };

    async fn run(self, session: &Session<'_>) -> Result<CommandOutcome, CannotRun> {
        match self {
            Self::Export(args) => export::run(session, &args).await,
            Self::Erase(args) => erase::run(session, &args).await,
            Self::Limits(args) => limits::run(session.context, &args).await,
            Self::List { org, list: args } => list(session, org.as_deref(), &args.into()).await,
            Self::Show(Named { tenant }) => show(session, tenant).await,
            Self::Create(args) => create(session, &args).await,
            Self::Suspend { tenant, reason } => {
                step(session, tenant.tenant, Step::Suspend, Some(&reason)).await
            }
            Self::Reactivate(Named { tenant }) => step(session, tenant, Step::Reactivate, None).await,
            Self::Delete(Named { tenant }) => step(session, tenant, Step::Delete, None).await,
            Self::Provision(Named { tenant }) => provisioning::begin(session, tenant).await,
            Self::Provisioning(Named { tenant }) => provisioning::show(session, tenant).await,
            Self::Restore(Named { tenant }) => {
                let window = session.context.settings()?.get::<TenancySettings>().restore_window;
                step(session, tenant, Step::Restore(window), None).await
            }
        }
    }
}

async fn list(
    session: &Session<'_>,
    org: Option<&str>,
    search: &Search,
) -> Result<CommandOutcome, CannotRun> {
    let list = async |tx: &Transaction<'_>, _: &Caller| {
        let listed = match org {
            Some(name) => Listed::In(named(tx, name).await?),
            None => Listed::All,
        };
        Ok::<_, TenancyError>(Items { items: store::list(tx, listed, search).await? })
    };
    let shown = |found: &Items<Tenant>| table(&COLUMNS, &found.items, "no tenants");
    session.run("tenancy.list_tenants", list, shown).await
}

async fn show(session: &Session<'_>, id: TenantId) -> Result<CommandOutcome, CannotRun> {
    let find =
        async |tx: &Transaction<'_>, caller: &Caller| flow::get(tx, caller, id, Permission::TenantView).await;
    session.run("tenancy.find_tenant", find, fields).await
}

async fn create(session: &Session<'_>, args: &CreateArgs) -> Result<CommandOutcome, CannotRun> {
    let settings = session.context.settings()?.get::<TenancySettings>();
    let create = async |tx: &Transaction<'_>, caller: &Caller| {
        let id = named(tx, &args.organization).await?;
        organization::lock(tx, caller, id, Permission::TenantCreate).await?;
        flow::create(tx, caller, id, &args.name, args.slug.as_deref(), &settings).await
    };
    session.run("tenancy.create_tenant", create, fields).await
}

async fn step(
    session: &Session<'_>,
    id: TenantId,
    step: Step,
    reason: Option<&str>,
) -> Result<CommandOutcome, CannotRun> {
    let take = async |tx: &Transaction<'_>, caller: &Caller| flow::step(tx, caller, id, step, reason).await;
    session.run("tenancy.step_tenant", take, fields).await
}
