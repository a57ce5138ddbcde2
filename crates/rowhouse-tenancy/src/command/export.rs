//! `tenants export`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use rowhouse_db::Transaction;
use rowhouse_kernel::{Caller, TenantId};
use rowhouse_module::{CannotRun, CommandOutcome, counted};
use serde_json::{Value, json};

use super::Session;
use crate::error::TenancyError;
use crate::flow::record::{Change, record};
use crate::flow::tenant as flow;
use crate::lines;
use crate::permission::Permission;
use crate::store::member::Group;

/// `tenants export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The tenant's id
    tenant: TenantId,
    /// A new file instead of the output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Notes the export in the audit log, then writes it.
pub(super) async fn run(session: &Session<'_>, args: &ExportArgs) -> Result<CommandOutcome, CannotRun> {
    let note = async |tx: &Transaction<'_>, caller: &Caller| {
        let tenant = flow::get(tx, caller, args.tenant, Permission::TenantView).await?;
        let id = tenant.id.to_string();
        record(tx, Change::of_group("tenant_exported", Group::from(&tenant), &id, json!({}))).await?;
        Ok::<_, TenancyError>(tenant)
    };
    let noted = session.run("tenancy.export_tenant", note, |_| String::new()).await?;
    if !noted.yes {
        return Ok(noted);
    }
    let mut out: Box<dyn Write + Send> = match &args.out {
        Some(path) => Box::new(BufWriter::new(
            File::create_new(path)
                .map_err(|error| CannotRun::because(format!("cannot write {}: {error}", path.display())))?,
        )),
        None => Box::new(std::io::stdout()),
    };
    let client = session.context.connect().await?;
    let sql = "select r::text from tenancy.export_tenant($1) r";
    let written = lines::write(&client, ("tenant", args.tenant.0), sql, &mut *out).await;
    let rows = written.map_err(|error| CannotRun::because(error.to_string()))?;
    Ok(match &args.out {
        Some(path) => {
            let text = format!("{} in {}", counted(rows, "row", "rows"), path.display());
            CommandOutcome::yes(json!({ "rows": rows, "file": path }), text)
        }
        None => CommandOutcome::yes(Value::Null, ""),
    })
}
