//! `orgs …`, `tenants …`, `products …`, `entitlements …`: what the admin API does, as the operator of the machine. The audit log names the account.

pub(crate) mod audit;
mod entitlements;
mod erase;
mod export;
mod limits;
mod orgs;
mod products;
mod provisioning;
mod shown;
mod tenants;

use rowhouse_db::{Control, Transaction};
use rowhouse_kernel::{Caller, SERVICE_ROLE};
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde::Serialize;
use serde_json::json;

use crate::error::TenancyError;

pub(crate) use entitlements::ENTITLEMENTS;
pub(crate) use orgs::ORGS;
pub(crate) use products::PRODUCTS;
pub(crate) use tenants::TENANTS;

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
            Err(TenancyError::Db(error)) => Err(error.into()),
            Err(refusal) => {
                let text = refusal.to_string();
                Ok(CommandOutcome { yes: false, json: json!({ "message": text }), text })
            }
        }
    }
}

/// A list as the document of `--json`.
#[derive(Serialize)]
struct Items<T> {
    items: Vec<T>,
}
