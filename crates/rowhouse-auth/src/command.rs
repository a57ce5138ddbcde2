//! `keys`: the key ring, its rotation, and new API keys. Those of organizations (`keys api`) are left to `rowhouse-tenancy`. A running server is notified of every change; the audit log
//! names the operator's account.

mod change;
mod import;
mod list;
mod reseal;

use clap::{ArgMatches, Command, FromArgMatches, Subcommand, ValueEnum};
use rowhouse_crypto::Purpose;
use rowhouse_db::{Control, DbSettings};
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, Module};
use rowhouse_tenancy::API_KEYS;

use crate::settings::AuthSettings;
use crate::{AuthModule, KeyStore, KeyStoreError};
use change::{Keys, Rotation};
pub(crate) use import::AUTH;

/// `keys …` on the command line.
pub(crate) const KEYS: CommandGroup = CommandGroup { command, run };

/// `keys …`.
#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// List the key ring and the API keys
    #[command(after_help = "Example:\n  rowhouse keys list")]
    List,
    /// Sign with a new key; tokens signed with the old one stay valid
    #[command(
        after_help = "Example:\n  rowhouse keys rotate\n  rowhouse keys rotate --api   # new anon and service_role keys; the old ones stay valid"
    )]
    Rotate {
        /// Rotate the key that signs anon_key and service_role_key instead of the one for users
        #[arg(long)]
        api: bool,
        /// Refuse all tokens signed before, at once: for leaked keys
        #[arg(long)]
        revoke: bool,
        /// Print what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Revoke an API key, or a signing key and with it every token that it signed
    #[command(
        after_help = "Example:\n  rowhouse keys list\n  rowhouse keys revoke 0198d5a1-0000-7000-8000-000000000001"
    )]
    Revoke {
        /// The id of an API key, or the kid of a signing key (the first part of a token names it)
        id: String,
    },
    /// Encrypt everything stored with auth.key_secret that was encrypted with the secret before it
    #[command(
        after_help = "The former secret is auth.key_secret_previous (ROWHOUSE_AUTH__KEY_SECRET_PREVIOUS, or …_FILE with a file's path), or in\nthe file of --old-key-file. Servers need both settings before; see docs/auth/keys.md.\n\nExample:\n  rowhouse keys reseal --dry-run\n  rowhouse keys reseal --old-key-file /run/secrets/old_key"
    )]
    Reseal {
        /// File with the former secret
        #[arg(long)]
        old_key_file: Option<std::path::PathBuf>,
        /// Print what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Issue and print an API key for a role
    #[command(after_help = "Example:\n  rowhouse keys issue --role service_role --expires-in-days 30")]
    Issue {
        /// anon or service_role
        #[arg(long, value_enum)]
        role: ApiRole,
        /// Days until it expires
        #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36500))]
        expires_in_days: u32,
    },
}

/// Roles an API key may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum ApiRole {
    /// For browsers
    Anon,
    /// Bypasses row-level security; for servers only
    ServiceRole,
}

fn command() -> Command {
    let command = KeysCommand::augment_subcommands(Command::new("keys"));
    command
        .subcommand((API_KEYS.command)())
        .about("List, rotate, revoke and issue signing keys and API keys, and encrypt stored ones anew")
        .after_help("Example:\n  rowhouse keys list\n  rowhouse keys issue --role anon")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    if let Some(("api", of_organizations)) = matches.subcommand() {
        return (API_KEYS.run)(of_organizations, context);
    }
    Box::pin(async move {
        let command = KeysCommand::from_arg_matches(matches)?;
        let mut settings = settings(context)?;
        if let KeysCommand::Reseal { old_key_file: Some(file), .. } = &command {
            reseal::read_old_key(file, &mut settings)?;
        }
        let store = open(context, &settings).await?;
        let keys = Keys { project: &context.project, settings: &settings, store: &store };
        match command {
            KeysCommand::List => list::list(&store).await,
            KeysCommand::Rotate { api, revoke, dry_run } => {
                let purpose = if api { Purpose::Api } else { Purpose::Access };
                let asked = Rotation { purpose, revoke };
                if dry_run { Ok(asked.preview(&store)) } else { asked.run(&keys).await }
            }
            KeysCommand::Revoke { id } => keys.revoke(&id).await,
            KeysCommand::Reseal { dry_run, .. } => reseal::reseal(&store, dry_run).await,
            KeysCommand::Issue { role, expires_in_days } => keys.issue(role, expires_in_days).await,
        }
    })
}

/// The project's settings, with the secret that `up` has generated for it.
fn settings(context: &CommandContext) -> Result<Settings, CannotRun> {
    let mut settings = context.settings()?;
    if context.project.private("keys/secrets.toml").exists() {
        AuthModule.generate_secrets(&context.project, &mut settings, &*context.rng)?;
    }
    Ok(settings)
}

async fn open(context: &CommandContext, settings: &Settings) -> Result<KeyStore, CannotRun> {
    let control = Control::open(&context.control_url()?, &settings.get::<DbSettings>())?;
    let (auth, rng) = (settings.get::<AuthSettings>(), context.rng.clone());
    KeyStore::open(control, &auth, context.origin(), rng).await.map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn failed(error: KeyStoreError) -> CannotRun {
    CannotRun::because(error.to_string())
}
