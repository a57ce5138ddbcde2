//! `products`: what tenants can use, and which tenants do.

use clap::{Args, Subcommand};
use rowhouse_db::Transaction;
use rowhouse_kernel::{Caller, TenantId};
use rowhouse_module::{CannotRun, CommandGroup, CommandOutcome};
use serde_json::json;
use uuid::Uuid;

use super::shown::{fields, table};
use super::{About, Items, Session, Subcommands, group};
use crate::error::TenancyError;
use crate::flow::{product as flow, tenant_product};
use crate::store::product::{self as store, Product, ProductFields, ProductStatus};
use crate::store::tenant_product::{self as enabled, ProductEnvironment, TenantProduct};

/// `products …`.
pub(crate) const PRODUCTS: CommandGroup = group::<ProductsCommand>();

const COLUMNS: [&str; 5] = ["slug", "name", "status", "launcher_url", "oauth_client_id"];
const ENABLED: [&str; 5] = ["product", "name", "environment", "enabled_by", "enabled_at"];

#[derive(Debug, Subcommand)]
enum ProductsCommand {
    /// List products, or what a tenant has enabled
    #[command(
        after_help = "Example:\n  rowhouse products list\n  rowhouse products list --tenant 0198c0de-…"
    )]
    List(ListArgs),
    /// Make a product
    #[command(
        after_help = "Example:\n  rowhouse products create crm CRM --launcher-url https://crm.example --oauth-client 0198c0de-…"
    )]
    Create(CreateArgs),
    /// Enable a product for a tenant
    #[command(after_help = "Example:\n  rowhouse products enable crm 0198c0de-… --environment staging")]
    Enable(UseArgs),
    /// Disable it; with its last environment nobody is entitled to it any more
    #[command(after_help = "Example:\n  rowhouse products disable crm 0198c0de-…")]
    Disable(UseArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// What this tenant has enabled: its id
    #[arg(long)]
    tenant: Option<TenantId>,
    /// Most to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Its name in URLs and in SQL
    slug: String,
    /// Its name
    name: String,
    /// What it is
    #[arg(long, default_value = "")]
    description: String,
    /// Its icon
    #[arg(long, value_name = "URL")]
    icon_url: Option<String>,
    /// Where a launcher leads
    #[arg(long, value_name = "URL")]
    launcher_url: Option<String>,
    /// A scope that its application asks for; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Its application: a client of the authorization server
    #[arg(long, value_name = "ID")]
    oauth_client: Option<Uuid>,
}

#[derive(Debug, Args)]
struct UseArgs {
    /// The product's slug
    product: String,
    /// The tenant's id
    tenant: TenantId,
    /// production, staging or development
    #[arg(long, default_value = "production")]
    environment: ProductEnvironment,
}

impl Subcommands for ProductsCommand {
    const ABOUT: About =
        About { name: "products", about: "Products that tenants can use", example: "rowhouse products list" };

    async fn run(self, session: &Session<'_>) -> Result<CommandOutcome, CannotRun> {
        match self {
            Self::List(ListArgs { tenant: Some(tenant), limit }) => {
                list_enabled(session, tenant, limit).await
            }
            Self::List(ListArgs { tenant: None, limit }) => list(session, limit).await,
            Self::Create(args) => create(session, args).await,
            Self::Enable(args) => enable(session, &args).await,
            Self::Disable(args) => disable(session, &args).await,
        }
    }
}

async fn list(session: &Session<'_>, limit: u32) -> Result<CommandOutcome, CannotRun> {
    let list = async |tx: &Transaction<'_>, _: &Caller| {
        Ok::<_, TenancyError>(Items { items: store::list(tx, true, None, limit).await? })
    };
    let shown = |found: &Items<Product>| table(&COLUMNS, &found.items, "no products");
    session.run("tenancy.list_products", list, shown).await
}

async fn list_enabled(
    session: &Session<'_>,
    tenant: TenantId,
    limit: u32,
) -> Result<CommandOutcome, CannotRun> {
    let list = async |tx: &Transaction<'_>, _: &Caller| {
        Ok::<_, TenancyError>(Items { items: enabled::list(tx, tenant, None, limit).await? })
    };
    let shown = |found: &Items<TenantProduct>| table(&ENABLED, &found.items, "no products");
    session.run("tenancy.list_tenant_products", list, shown).await
}

async fn create(session: &Session<'_>, args: CreateArgs) -> Result<CommandOutcome, CannotRun> {
    let new = ProductFields {
        name: args.name,
        description: args.description,
        icon_url: args.icon_url,
        launcher_url: args.launcher_url,
        scopes: args.scopes,
        oauth_client_id: args.oauth_client,
        status: ProductStatus::Active,
    };
    let create =
        async |tx: &Transaction<'_>, caller: &Caller| flow::create(tx, caller, &args.slug, &new).await;
    session.run("tenancy.create_product", create, fields).await
}

async fn enable(session: &Session<'_>, args: &UseArgs) -> Result<CommandOutcome, CannotRun> {
    let enable = async |tx: &Transaction<'_>, caller: &Caller| {
        tenant_product::enable(tx, caller, args.tenant, (&args.product, args.environment)).await
    };
    session.run("tenancy.enable_product", enable, fields).await
}

async fn disable(session: &Session<'_>, args: &UseArgs) -> Result<CommandOutcome, CannotRun> {
    let disable = async |tx: &Transaction<'_>, caller: &Caller| {
        tenant_product::disable(tx, caller, args.tenant, (&args.product, args.environment)).await?;
        Ok::<_, TenancyError>(
            json!({ "product": args.product, "tenant_id": args.tenant, "environment": args.environment }),
        )
    };
    session.run("tenancy.disable_product", disable, fields).await
}
