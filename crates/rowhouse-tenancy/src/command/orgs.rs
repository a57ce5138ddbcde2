//! `orgs`: organizations.

use clap::{Args, Subcommand};
use rowhouse_db::Transaction;
use rowhouse_kernel::{Caller, OrganizationId};
use rowhouse_module::{CannotRun, CommandGroup, CommandOutcome};
use tokio_postgres::Client;
use uuid::Uuid;

use super::shown::{fields, table};
use super::{About, Items, Session, Subcommands, group};
use crate::error::TenancyError;
use crate::flow::organization::{self as flow, NewOrganization};
use crate::permission::Permission;
use crate::settings::TenancySettings;
use crate::store::organization::{self as store, Organization};
use crate::store::search::Search;
use crate::store::status::Step;

/// `orgs …`.
pub(crate) const ORGS: CommandGroup = group::<OrgsCommand>();

const COLUMNS: [&str; 5] = ["id", "slug", "name", "status", "created_at"];

#[derive(Debug, Subcommand)]
enum OrgsCommand {
    /// List organizations, in pages
    #[command(after_help = "Example:\n  rowhouse orgs list --search acme --status suspended")]
    List(ListArgs),
    /// Show an organization
    #[command(after_help = "Example:\n  rowhouse orgs show acme")]
    Show(Named),
    /// Make an organization
    #[command(
        after_help = "Example:\n  rowhouse orgs create \"Acme Corp.\" --slug acme --owner ann@example.com"
    )]
    Create(CreateArgs),
    /// Close an organization to its members at once
    #[command(after_help = "Example:\n  rowhouse orgs suspend acme --reason \"unpaid since May\"")]
    Suspend(SuspendArgs),
    /// Open a suspended or cancelled one again
    #[command(after_help = "Example:\n  rowhouse orgs reactivate acme")]
    Reactivate(Named),
    /// Delete an organization; it can be restored for tenancy.restore_window
    #[command(after_help = "Example:\n  rowhouse orgs delete acme")]
    Delete(Named),
    /// Take a deletion back
    #[command(after_help = "Example:\n  rowhouse orgs restore acme")]
    Restore(Named),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// The beginning of a name or slug, or an id
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// trial, active, suspended, cancelled or deleted
    #[arg(long)]
    status: Option<String>,
    /// Most to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Only ids behind this one: the last of the previous page
    #[arg(long, value_name = "ID")]
    after: Option<Uuid>,
}

impl From<ListArgs> for Search {
    fn from(args: ListArgs) -> Self {
        Self { text: args.search, status: args.status, after: args.after, limit: args.limit }
    }
}

#[derive(Debug, Args)]
struct Named {
    /// The organization's slug or id
    organization: String,
}

#[derive(Debug, Args)]
struct SuspendArgs {
    /// The organization's slug or id
    organization: String,
    /// Why, for operators
    #[arg(long)]
    reason: String,
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Its name
    name: String,
    /// Its name in URLs; follows from the name
    #[arg(long)]
    slug: Option<String>,
    /// Its first owner: a user's id or address
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
}

impl Subcommands for OrgsCommand {
    const ABOUT: About = About {
        name: "orgs",
        about: "Organizations: customers with their tenants and members",
        example: "rowhouse orgs list --search acme",
    };

    async fn run(self, session: &Session<'_>) -> Result<CommandOutcome, CannotRun> {
        match self {
            Self::List(args) => list(session, &args.into()).await,
            Self::Show(args) => show(session, &args.organization).await,
            Self::Create(args) => create(session, &args).await,
            Self::Suspend(args) => step(session, &args.organization, Step::Suspend, Some(&args.reason)).await,
            Self::Reactivate(args) => step(session, &args.organization, Step::Reactivate, None).await,
            Self::Delete(args) => step(session, &args.organization, Step::Delete, None).await,
            Self::Restore(args) => {
                let window = session.context.settings()?.get::<TenancySettings>().restore_window;
                step(session, &args.organization, Step::Restore(window), None).await
            }
        }
    }
}

async fn list(session: &Session<'_>, search: &Search) -> Result<CommandOutcome, CannotRun> {
    let list = async |tx: &Transaction<'_>, _: &Caller| {
        Ok::<_, TenancyError>(Items { items: store::list(tx, None, search).await? })
    };
    let shown = |found: &Items<Organization>| table(&COLUMNS, &found.items, "no organizations");
    session.run("tenancy.list_organizations", list, shown).await
}

async fn show(session: &Session<'_>, name: &str) -> Result<CommandOutcome, CannotRun> {
    let find = async |tx: &Transaction<'_>, caller: &Caller| {
        let id = named(tx, name).await?;
        flow::get(tx, caller, id, Permission::OrganizationView).await
    };
    session.run("tenancy.find_organization", find, fields).await
}

async fn create(session: &Session<'_>, args: &CreateArgs) -> Result<CommandOutcome, CannotRun> {
    let settings = session.context.settings()?.get::<TenancySettings>();
    let create = async |tx: &Transaction<'_>, caller: &Caller| {
        let owner = match &args.owner {
            Some(user) => Some(store::find_user(tx, user).await?.ok_or(TenancyError::Missing("user"))?),
            None => None,
        };
        let new = NewOrganization { name: &args.name, slug: args.slug.as_deref(), owner };
        flow::create(tx, caller, &new, &settings).await
    };
    session.run("tenancy.create_organization", create, fields).await
}

async fn step(
    session: &Session<'_>,
    name: &str,
    step: Step,
    reason: Option<&str>,
) -> Result<CommandOutcome, CannotRun> {
    let take = async |tx: &Transaction<'_>, caller: &Caller| {
        let id = named(tx, name).await?;
        flow::step(tx, caller, id, step, reason).await
    };
    session.run("tenancy.step_organization", take, fields).await
}

/// The organization of this slug or id.
pub(super) async fn named(client: &Client, name: &str) -> Result<OrganizationId, TenancyError> {
    store::find_named(client, name).await?.ok_or(TenancyError::Missing("organization"))
}
