//! Brings the rows of one tenant back from a backup, beside the live data: the backup is restored into a folder that is thrown
//! away, and what the live database lacks of the tenant is inserted there, in one transaction. Other tenants' rows stay as they are.

mod change;
mod find;
mod newer;
mod report;
mod stage;
mod table;

use rowhouse_db::embedded::Temporary;
use rowhouse_db::{Control, DbError};
use rowhouse_kernel::{Operation, Origin, TenantId};
use rowhouse_module::{CannotRun, CommandContext};
use tokio_postgres::Client;

pub(crate) use report::{Outcome, TableReport};

use crate::restore::{Restored, Target, restore};
use crate::store::{BackupReader, Store};
use crate::throwaway::Throwaway;
use change::{Refused, bring_back};

/// Below `.rowhouse`: the folder of such a restore.
const FOLDER: &str = "restores";
const OPERATION: &str = "backup.restore_tenant";

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// The tenant's id, or its slug.
    pub(crate) tenant: String,
    /// Whether to change anything.
    pub(crate) apply: bool,
    /// Also give rows that have changed since their former values.
    pub(crate) overwrite: bool,
    /// Also remove rows that were made since.
    pub(crate) delete_newer: bool,
    /// Also bring back members who were removed since.
    pub(crate) members: bool,
}

/// Compares, and changes what the wish says.
///
/// # Errors
/// If the backup cannot be restored, the tenant is not in it, or the live database refuses; then nothing was changed.
pub(crate) async fn run(
    context: &CommandContext,
    store: &Store,
    reader: &BackupReader,
    target: &Target,
    wish: &Wish,
) -> Result<Outcome, CannotRun> {
    // Before anything is unpacked: without a live database there is nothing to bring rows back to.
    drop(context.connect().await?);
    let name = reader.manifest.id.to_string();
    let work = Throwaway::make(&context.project, FOLDER, &name).await?;
    let restored = restore(store, reader, target, (&work.project, None), &context.clock).await?;
    let mut server = Temporary::start(&restored.paths, &restored.account, &[])?;
    let done = beside(context, &mut server, &restored, wish).await;
    server.stop().await;
    done
}

async fn beside(
    context: &CommandContext,
    server: &mut Temporary,
    restored: &Restored,
    wish: &Wish,
) -> Result<Outcome, CannotRun> {
    let details = &restored.details;
    server.connect(&details.superuser).await?;
    let copy = rowhouse_db::connect(&server.url(&details.superuser, &details.database)).await?;
    let tenant = find::tenant(&context.connect().await?, &copy, &wish.tenant).await?;
    let backup = restored.manifest.id.to_string();
    between(&context.control()?, &copy, context.origin(), (tenant, &backup), wish).await
}

/// The same between two databases.
async fn between(
    live: &Control,
    copy: &Client,
    origin: Origin,
    (tenant, backup): (TenantId, &str),
    wish: &Wish,
) -> Result<Outcome, CannotRun> {
    prepare_copy(copy, tenant).await.map_err(DbError::from)?;
    let operation = Operation { name: OPERATION, origin: Origin { tenant: Some(tenant), ..origin } };
    let brought = live.run_tx(&operation, async |tx| bring_back(tx, copy, (tenant, backup), wish).await);
    let (tables, refusals) = match brought.await {
        Ok(tables) => (tables, Vec::new()),
        Err(Refused::Rows(tables, refusals)) => (tables, refusals),
        Err(Refused::Busy) => {
            return Err(CannotRun::because(
                "another restore of a tenant is under way; wait until it has ended",
            ));
        }
        Err(Refused::Database(error)) => return Err(explain(&error)),
    };
    let applied = wish.apply && refusals.is_empty();
    Ok(Outcome { tenant, backup: backup.to_owned(), applied, tables, refusals })
}

/// Values are written as the live database reads them, whatever the copy is configured to do.
async fn prepare_copy(copy: &Client, tenant: TenantId) -> Result<(), tokio_postgres::Error> {
    copy.batch_execute(&format!("set search_path = pg_catalog, pg_temp; {}", stage::settings("set"))).await?;
    copy.execute("select set_config('rowhouse.tenant', $1, false)", &[&tenant.to_string()]).await.map(drop)
}

/// What has to be done about an error of the live database.
fn explain(error: &DbError) -> CannotRun {
    let remedy = match error.code() {
        Some("23503") => ": a row that it refers to does not exist any more, such as a user who was deleted",
        Some("23505") => {
            ": a row that was made since has the same unique values; change that one first, or add --delete-newer"
        }
        Some("55P03") => ": somebody holds a lock on a table that has to be written; run it again",
        _ => "",
    };
    CannotRun::because(format!("nothing was changed: {error}{remedy}"))
}

#[cfg(test)]
mod tests;
