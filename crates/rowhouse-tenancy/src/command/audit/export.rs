//! `audit export`.

use std::fs::File;
use std::io::{ErrorKind, Write};

use rowhouse_audit::{Entry, piece};
use rowhouse_db::{DbError, Transaction};
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::{Map, Value, json};

use super::argument::ExportArgs;
use super::progress::Progress;

/// Notes the export in the audit log, then writes it piece by piece.
pub(super) async fn run(context: &CommandContext, args: &ExportArgs) -> Result<CommandOutcome, CannotRun> {
    let filter = args.filter.filter();
    let mut out: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(File::create_new(path).map_err(|error| cannot_write(path, &error))?),
        None => Box::new(std::io::stdout()),
    };
    let format = args.format.extension();
    let note = async move |tx: &Transaction<'_>| note(tx, format).await;
    let operation = context.origin().operation("tenancy.export_audit");
    context.control()?.run_tx::<_, DbError>(&operation, note).await?;
    let client = context.connect().await?;
    let (mut after, mut entries, mut progress) = (None, 0, Progress::new("entries are exported"));
    loop {
        let piece = piece(&client, &filter, args.format, after.as_ref()).await?;
        match out.write_all(piece.text.as_bytes()).and_then(|()| out.flush()) {
            // A closed pipe (`| head`) is not a failure.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            written => written?,
        }
        entries += piece.entries as i64;
        progress.tell(entries);
        after = piece.next;
        if after.is_none() {
            break;
        }
    }
    Ok(match &args.output {
        Some(path) => {
            let text = format!("{entries} entries in {}", path.display());
            CommandOutcome::yes(json!({ "entries": entries, "file": path }), text)
        }
        None => CommandOutcome::yes(Value::Null, ""),
    })
}

fn cannot_write(path: &std::path::Path, error: &std::io::Error) -> CannotRun {
    CannotRun::because(format!("cannot write {}: {error}", path.display()))
}

async fn note(tx: &Transaction<'_>, format: &str) -> Result<(), DbError> {
    let details: Map<_, _> = [("format".to_owned(), json!(format))].into_iter().collect();
    let entry = Entry {
        source: "tenancy",
        action: "audit_exported",
        target_kind: "audit_log",
        target_id: "all",
        tenant: None,
        details,
    };
    rowhouse_audit::write(tx, entry).await.map(|_| ())
}
