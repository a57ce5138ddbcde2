//! `tenants erase`: what the job `tenancy.erase` does once a deleted tenant can no longer be restored, at once.

use clap::Args;
use rowhouse_db::Transaction;
use rowhouse_kernel::{Caller, TenantId};
use rowhouse_module::{CannotRun, CommandOutcome};

use super::Session;
use crate::error::TenancyError;
use crate::flow::erasure::{self as flow, Erasure};

/// `tenants erase`.
#[derive(Debug, Args)]
pub(super) struct EraseArgs {
    /// The tenant's id
    tenant: TenantId,
    /// Print how many rows of which tables would be deleted, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Erases a deleted tenant, or shows what that would be.
pub(super) async fn run(session: &Session<'_>, args: &EraseArgs) -> Result<CommandOutcome, CannotRun> {
    let (tenant, dry_run) = (args.tenant, args.dry_run);
    let begin = async |tx: &Transaction<'_>, _: &Caller| {
        let erasure = flow::preview(tx, tenant, dry_run).await?;
        if !dry_run {
            flow::begin(tx, tenant).await?;
        }
        Ok(erasure)
    };
    let outcome = session.run("tenancy.begin_erasure", begin, shown).await?;
    if outcome.yes && !dry_run {
        let operation = session.context.origin().operation("tenancy.erase");
        let step = async |tx: &Transaction<'_>| flow::step(tx, tenant).await;
        while session.control.run_tx(&operation, &step).await.map_err(|error| failed(&error))? {}
    }
    Ok(outcome)
}

fn failed(error: &TenancyError) -> CannotRun {
    CannotRun::because(format!("the tenant's rows are not erased yet: {error}; begin again to go on"))
}

fn shown(erasure: &Erasure) -> String {
    let verb = if erasure.dry_run { "would erase" } else { "erased" };
    let mut text = format!("{verb} the tenant {}", erasure.tenant_id);
    for table in &erasure.tables {
        text.push_str(&format!("\n  {}: {}", table.table, table.rows));
    }
    text
}
