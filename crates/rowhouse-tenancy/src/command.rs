//! `orgs …`, `tenants …`, `products …`, `entitlements …`, `plans …`, `quotas …`, `keys api …`: what the admin API does, as the operator of the machine. The audit log names the account.

mod api_keys;
pub(crate) mod audit;
mod entitlements;
mod erase;
mod export;
mod limits;
mod orgs;
mod plans;
mod products;
mod provisioning;
mod quota_text;
mod quotas;
mod shown;
mod tenants;

use clap::{ArgMatches, Command, Subcommand};
use rowhouse_db::{Control, DbError, Transaction, TransactionError};
use rowhouse_kernel::{Caller, SERVICE_ROLE};
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome};
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;

use crate::error::TenancyError;

pub use api_keys::API_KEYS;
pub(crate) use entitlements::ENTITLEMENTS;
pub(crate) use orgs::ORGS;
pub(crate) use plans::PLANS;
pub(crate) use products::PRODUCTS;
pub(crate) use quotas::QUOTAS;
pub(crate) use tenants::TENANTS;

/// What the help says of a group of subcommands.
struct About {
    name: &'static str,
    about: &'static str,
    /// A whole command line.
    example: &'static str,
}

/// The subcommands of a group, each of which runs over a session.
trait Subcommands: Subcommand + 'static {
    const ABOUT: About;

    async fn run(self, session: &Session<'_>) -> Result<CommandOutcome, CannotRun>;
}

/// The group as the binary takes it.
const fn group<S: Subcommands>() -> CommandGroup {
    CommandGroup { command: command::<S>, run: run::<S> }
}

fn command<S: Subcommands>() -> Command {
    let About { name, about, example } = S::ABOUT;
    S::augment_subcommands(Command::new(name))
        .about(about)
        .after_help(format!("Example:\n  {example}"))
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a, S: Subcommands>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        let session = Session::open(context)?;
        S::from_arg_matches(matches)?.run(&session).await
    })
}

/// An instant as an argument.
fn read_time(text: &str) -> Result<OffsetDateTime, String> {
    rowhouse_kernel::parse_instant(text)
        .ok_or_else(|| "expected a time as in 2027-01-31T12:00:00Z".to_owned())
}

/// A running command: the database, and the caller that it is.
struct Session<'a> {
    control: Control,
    context: &'a CommandContext,
    caller: Caller,
}

impl<'a> Session<'a> {
    fn open(context: &'a CommandContext) -> Result<Self, CannotRun> {
        let caller = Caller { role: SERVICE_ROLE.into(), ..Caller::anonymous() };
        Ok(Self { control: context.control()?, context, caller })
    }

    /// Runs `body` in a transaction of this name; a refusal is an outcome, a broken database is not.
    async fn run<T: Serialize>(
        &self,
        name: &'static str,
        body: impl AsyncFn(&Transaction<'_>, &Caller) -> Result<T, TenancyError>,
        shown: impl FnOnce(&T) -> String,
    ) -> Result<CommandOutcome, CannotRun> {
        let operation = self.context.origin().operation(name);
        let done = self.control.run_tx(&operation, async |tx: &Transaction<'_>| body(tx, &self.caller).await);
        match done.await {
            Ok(value) => {
                let text = shown(&value);
                Ok(CommandOutcome::yes(serde_json::to_value(value)?, text))
            }
            Err(error) => refused(error),
        }
    }

    /// The same, rolled back in a dry run: the document then says so.
    async fn run_or_try<T: Serialize>(
        &self,
        (name, dry_run): (&'static str, bool),
        body: impl AsyncFn(&Transaction<'_>, &Caller) -> Result<T, TenancyError>,
        shown: impl FnOnce(&T) -> String,
    ) -> Result<CommandOutcome, CannotRun> {
        let operation = self.context.origin().operation(name);
        let run = async |tx: &Transaction<'_>| {
            let value = body(tx, &self.caller).await.map_err(Halted::Refused)?;
            if dry_run { Err(Halted::Tried(value)) } else { Ok(value) }
        };
        let (value, note) = match self.control.run_tx(&operation, run).await {
            Ok(value) => (value, ""),
            Err(Halted::Tried(value)) => (value, "dry run: nothing was changed\n"),
            Err(Halted::Refused(error)) => return refused(error),
        };
        let text = format!("{note}{}", shown(&value));
        let mut document = serde_json::to_value(value)?;
        document["dry_run"] = json!(dry_run);
        Ok(CommandOutcome::yes(document, text))
    }
}

fn refused(error: TenancyError) -> Result<CommandOutcome, CannotRun> {
    match error {
        TenancyError::Db(error) => Err(error.into()),
        refusal => {
            let text = refusal.to_string();
            Ok(CommandOutcome { yes: false, json: json!({ "message": text }), text })
        }
    }
}

/// Why a transaction is rolled back.
enum Halted<T> {
    /// A dry run, with what it would have done.
    Tried(T),
    Refused(TenancyError),
}

impl<T> From<DbError> for Halted<T> {
    fn from(error: DbError) -> Self {
        Self::Refused(error.into())
    }
}

impl<T> TransactionError for Halted<T> {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Refused(error) => error.database(),
            Self::Tried(_) => None,
        }
    }
}

/// A list as the document of `--json`.
#[derive(Serialize)]
struct Items<T> {
    items: Vec<T>,
}
