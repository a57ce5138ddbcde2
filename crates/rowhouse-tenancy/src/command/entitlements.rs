//! `entitlements`: who may use which product of a tenant.

use clap::{Args, Subcommand};
use rowhouse_db::Transaction;
use rowhouse_kernel::{Caller, TenantId};
use rowhouse_module::{CannotRun, CommandGroup, CommandOutcome};
use serde_json::json;
use time::OffsetDateTime;
use tokio_postgres::Client;
use uuid::Uuid;

use super::shown::{fields, table};
use super::{About, Items, Session, Subcommands, group, read_time};
use crate::error::TenancyError;
use crate::flow::entitlement::{self as flow, ALL, NewEntitlement};
use crate::store::entitlement::{self as store, Entitlement, Narrowed};
use crate::store::organization::find_user;
use crate::store::product::ProductRole;

/// `entitlements …`.
pub(crate) const ENTITLEMENTS: CommandGroup = group::<EntitlementsCommand>();

const COLUMNS: [&str; 6] = ["product", "user_id", "email", "role", "expires_at", "last_used_at"];

#[derive(Debug, Subcommand)]
enum EntitlementsCommand {
    /// List a tenant's entitlements, in pages
    #[command(after_help = "Example:\n  rowhouse entitlements list 0198c0de-… --product crm")]
    List(ListArgs),
    /// Give a member of the tenant, or all, a role in a product that it has enabled
    #[command(
        after_help = "Example:\n  rowhouse entitlements grant 0198c0de-… crm ann@example.com --role EDITOR --expires-at 2027-01-31T12:00:00Z"
    )]
    Grant(GrantArgs),
    /// Take it back at once
    #[command(after_help = "Example:\n  rowhouse entitlements revoke 0198c0de-… crm ann@example.com")]
    Revoke(HolderArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// The tenant's id
    tenant: TenantId,
    /// Of this product: its slug
    #[arg(long)]
    product: Option<String>,
    /// Of this user alone: an id or address
    #[arg(long)]
    user: Option<String>,
    /// Most to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Only ids behind this one: the last of the previous page
    #[arg(long, value_name = "ID")]
    after: Option<Uuid>,
}

#[derive(Debug, Args)]
struct HolderArgs {
    /// The tenant's id
    tenant: TenantId,
    /// The product's slug
    product: String,
    /// A user's id or address, or "all" for all members
    user: String,
}

#[derive(Debug, Args)]
struct GrantArgs {
    #[command(flatten)]
    holder: HolderArgs,
    /// OWNER, ADMIN, EDITOR, VIEWER, ANALYST, CONTRIBUTOR or MEMBER
    #[arg(long)]
    role: ProductRole,
    /// From when on it gives nothing, such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    expires_at: Option<OffsetDateTime>,
}

impl Subcommands for EntitlementsCommand {
    const ABOUT: About = About {
        name: "entitlements",
        about: "Who may use which product of a tenant",
        example: "rowhouse entitlements list 0198c0de-…",
    };

    async fn run(self, session: &Session<'_>) -> Result<CommandOutcome, CannotRun> {
        match self {
            Self::List(args) => list(session, args).await,
            Self::Grant(args) => grant(session, &args).await,
            Self::Revoke(args) => revoke(session, &args).await,
        }
    }
}

async fn list(session: &Session<'_>, args: ListArgs) -> Result<CommandOutcome, CannotRun> {
    let list = async |tx: &Transaction<'_>, _: &Caller| {
        let user = match &args.user {
            Some(user) => Some(get_user(tx, user).await?),
            None => None,
        };
        let narrowed = Narrowed { product: args.product.clone(), user, after: args.after, limit: args.limit };
        Ok::<_, TenancyError>(Items { items: store::list(tx, args.tenant, &narrowed).await? })
    };
    let shown = |found: &Items<Entitlement>| table(&COLUMNS, &found.items, "no entitlements");
    session.run("tenancy.list_entitlements", list, shown).await
}

async fn grant(session: &Session<'_>, args: &GrantArgs) -> Result<CommandOutcome, CannotRun> {
    let now = session.context.clock.now();
    let GrantArgs { holder, role, expires_at } = args;
    let grant = async |tx: &Transaction<'_>, caller: &Caller| {
        let user = holder_of(tx, &holder.user).await?;
        let new = NewEntitlement { product: &holder.product, user, role: *role, expires_at: *expires_at };
        flow::grant(tx, caller, holder.tenant, &new, now).await
    };
    session.run("tenancy.grant_entitlement", grant, fields).await
}

async fn revoke(session: &Session<'_>, args: &HolderArgs) -> Result<CommandOutcome, CannotRun> {
    let revoke = async |tx: &Transaction<'_>, caller: &Caller| {
        let user = holder_of(tx, &args.user).await?;
        flow::revoke(tx, caller, args.tenant, (&args.product, user)).await?;
        Ok::<_, TenancyError>(json!({ "product": args.product, "tenant_id": args.tenant, "user_id": user }))
    };
    session.run("tenancy.revoke_entitlement", revoke, fields).await
}

/// The user; `None` for all members.
async fn holder_of(client: &Client, name: &str) -> Result<Option<Uuid>, TenancyError> {
    if name == ALL { Ok(None) } else { get_user(client, name).await.map(Some) }
}

async fn get_user(client: &Client, name: &str) -> Result<Uuid, TenancyError> {
    find_user(client, name).await?.ok_or(TenancyError::Missing("user"))
}
