//! `keys api`: keys of an organization's services. Those of the installation are left to `rowhouse-auth`, whose `keys` has this as a
//! part.

use clap::{Args, Subcommand};
use rowhouse_db::Transaction;
use rowhouse_kernel::{ApiKeyId, Caller, TenantId, new_id};
use rowhouse_module::{CannotRun, CommandContext, CommandGroup, CommandOutcome};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::orgs::named;
use super::shown::{fields, table};
use super::{About, Items, Session, Subcommands, group, read_time};
use crate::error::TenancyError;
use crate::flow::api_key as flow;
use crate::permission::Permission;
use crate::store::api_key::{self as store, ApiKey, NewApiKey};

/// `keys api …`.
pub const API_KEYS: CommandGroup = group::<ApiKeysCommand>();

const COLUMNS: [&str; 7] = ["id", "name", "hint", "scopes", "expires_at", "last_used_at", "revoked_at"];

#[derive(Debug, Subcommand)]
enum ApiKeysCommand {
    /// List an organization's keys, the newest first
    #[command(after_help = "Example:\n  rowhouse keys api list acme")]
    List(ListArgs),
    /// Show a key; never the key itself
    #[command(after_help = "Example:\n  rowhouse keys api show acme 0198c0de-…")]
    Show(KeyArgs),
    /// Make a key and print it, this once
    #[command(
        after_help = "Example:\n  rowhouse keys api create acme \"nightly export\" --scope members:view --scope tenant:view --expires-at 2027-01-31T12:00:00Z"
    )]
    Create(CreateArgs),
    /// Revoke a key, which is refused from the next request on
    #[command(after_help = "Example:\n  rowhouse keys api revoke acme 0198c0de-…")]
    Revoke(KeyArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// The organization's slug or id
    organization: String,
    /// Most to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Only keys made before this one: the last of the previous page
    #[arg(long, value_name = "ID")]
    after: Option<Uuid>,
}

#[derive(Debug, Args)]
struct KeyArgs {
    /// The organization's slug or id
    organization: String,
    /// The key's id
    key: Uuid,
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The organization's slug or id
    organization: String,
    /// What it is for
    name: String,
    /// A permission that it gets; may be repeated
    #[arg(long = "scope", value_name = "PERMISSION", required = true)]
    scopes: Vec<Permission>,
    /// The only tenant in which it counts: its id
    #[arg(long)]
    tenant: Option<TenantId>,
    /// Until when, such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    expires_at: Option<OffsetDateTime>,
}

/// A key that has been made.
#[derive(Serialize)]
struct Issued {
    #[serde(flatten)]
    api_key: ApiKey,
    key: String,
}

impl Subcommands for ApiKeysCommand {
    const ABOUT: About = About {
        name: "api",
        about: "API keys of an organization's services",
        example: "rowhouse keys api list acme",
    };

    async fn run(self, session: &Session<'_>) -> Result<CommandOutcome, CannotRun> {
        match self {
            Self::List(args) => list(session, &args).await,
            Self::Show(args) => show(session, &args).await,
            Self::Create(args) => create(session, &args).await,
            Self::Revoke(args) => revoke(session, &args).await,
        }
    }
}

async fn list(session: &Session<'_>, args: &ListArgs) -> Result<CommandOutcome, CannotRun> {
    let list = async |tx: &Transaction<'_>, _: &Caller| {
        let organization = named(tx, &args.organization).await?;
        let items = store::list(tx, organization, args.after, args.limit).await?;
        Ok::<_, TenancyError>(Items { items })
    };
    let shown = |found: &Items<ApiKey>| table(&COLUMNS, &found.items, "no keys");
    session.run("tenancy.list_api_keys", list, shown).await
}

async fn show(session: &Session<'_>, args: &KeyArgs) -> Result<CommandOutcome, CannotRun> {
    let find = async |tx: &Transaction<'_>, _: &Caller| {
        let organization = named(tx, &args.organization).await?;
        let found = store::find(tx, organization, ApiKeyId(args.key)).await?;
        found.ok_or(TenancyError::Missing("API key"))
    };
    session.run("tenancy.find_api_key", find, fields).await
}

async fn create(session: &Session<'_>, args: &CreateArgs) -> Result<CommandOutcome, CannotRun> {
    let CommandContext { clock, rng, .. } = session.context;
    let secret = rowhouse_crypto::ApiKey::generate(&**rng);
    let (id, now) = (ApiKeyId(new_id(&**clock, &**rng)), clock.now());
    let create = async |tx: &Transaction<'_>, caller: &Caller| {
        let new = NewApiKey {
            id,
            organization: named(tx, &args.organization).await?,
            tenant: args.tenant,
            name: &args.name,
            scopes: &args.scopes,
            expires_at: args.expires_at,
        };
        let api_key = flow::create(tx, caller, &new, &secret, now).await?;
        Ok::<_, TenancyError>(Issued { api_key, key: secret.expose().to_owned() })
    };
    session.run("tenancy.create_api_key", create, fields).await
}

async fn revoke(session: &Session<'_>, args: &KeyArgs) -> Result<CommandOutcome, CannotRun> {
    let revoke = async |tx: &Transaction<'_>, caller: &Caller| {
        let (organization, id) = (named(tx, &args.organization).await?, ApiKeyId(args.key));
        flow::revoke(tx, caller, organization, id).await?;
        store::find(tx, organization, id).await?.ok_or(TenancyError::Missing("API key"))
    };
    session.run("tenancy.revoke_api_key", revoke, fields).await
}
