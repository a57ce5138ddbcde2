//! `tenants export`.

use std::path::PathBuf;

use clap::Args;
use rowhouse_db::Transaction;
use rowhouse_kernel::{Caller, TenantId};
use rowhouse_module::{CannotRun, CommandOutcome};

use super::Session;
use crate::export::file::Target;
use crate::export::{Stamp, Subject, note_tenant};
use crate::permission::Permission;

/// `tenants export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The tenant's id
    tenant: TenantId,
    /// A new file instead of the output: an archive with a file for each table if it ends in .zip, else lines of JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Notes the export in the audit log, then writes it.
pub(super) async fn run(session: &Session<'_>, args: &ExportArgs) -> Result<CommandOutcome, CannotRun> {
    let target = Target::open(args.out.as_deref())?;
    let note = async |tx: &Transaction<'_>, caller: &Caller| {
        note_tenant(tx, caller, args.tenant, Permission::TenantView).await
    };
    let noted = session.run("tenancy.export_tenant", note, |()| String::new()).await?;
    if !noted.yes {
        return Ok(noted);
    }
    let client = session.context.connect().await?;
    target.write(&client, Subject::tenant(args.tenant), Stamp::from(&session.context.origin())).await
}
