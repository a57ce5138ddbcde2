//! `backup restore --tenant`: the rows of one tenant, beside the live data. Leaves the work to `tenant`.

use clap::Args;
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};

use crate::interrupt::interruptible;
use crate::restore::Target;
use crate::store::{BackupReader, Store};
use crate::tenant::{self, Wish};

#[derive(Debug, Args)]
pub(super) struct TenantArgs {
    /// Only the rows of this tenant (its id or slug), beside the live data; without --apply it only says what differs
    #[arg(long, value_name = "TENANT", conflicts_with_all = ["into", "in_place"])]
    tenant: Option<String>,
    /// Insert the rows that are missing
    #[arg(long, requires = "tenant", requires = "yes")]
    apply: bool,
    /// Also give rows that have changed since their former values
    #[arg(long, requires = "apply")]
    overwrite: bool,
    /// Also remove the tenant's rows that were made since
    #[arg(long, requires = "apply")]
    delete_newer: bool,
    /// Also bring back members who were removed since, with their entitlements
    #[arg(long, requires = "apply")]
    members: bool,
}

impl TenantArgs {
    /// What is wished, if a tenant is named.
    pub(super) fn wish(&self) -> Option<Wish> {
        let Self { apply, overwrite, delete_newer, members, .. } = *self;
        self.tenant.clone().map(|tenant| Wish { tenant, apply, overwrite, delete_newer, members })
    }
}

pub(super) async fn run(
    context: &CommandContext,
    (store, reader, target): (&Store, &BackupReader, &Target),
    wish: &Wish,
) -> Result<CommandOutcome, CannotRun> {
    let outcome = interruptible(context, tenant::run(context, store, reader, target, wish)).await?;
    Ok(CommandOutcome {
        yes: outcome.refusals.is_empty(),
        json: serde_json::to_value(&outcome)?,
        text: outcome.text(),
    })
}
