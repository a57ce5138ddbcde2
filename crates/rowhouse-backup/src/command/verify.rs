//! `backup verify`: reads back and says what is damaged, with exit code 1 if something is. Leaves the reading to `verify`.

use clap::Args;
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome, counted, grouped};

use super::KeyArgs;
use crate::error::StoreError;
use crate::manifest::BackupId;
use crate::progress::Progress;
use crate::store::Store;
use crate::verify::{Closed, Damage, Verification};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Only this backup, with the write-ahead log from its start on [default: everything in the store]
    #[arg(value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
}

pub(super) async fn run(context: &CommandContext, args: VerifyArgs) -> Result<CommandOutcome, CannotRun> {
    let store = super::reader(context, &args.key)?;
    let id = args.id.as_deref().map(super::backup_id).transpose()?;
    let mut progress = Progress::new("verifying", total(&store, id.as_ref()).await?, context.clock.clone());
    let found = store.verify(id.as_ref(), &mut |bytes| progress.add(bytes)).await;
    progress.end();
    let found = found?;
    if found.is_empty() {
        let text =
            format!("nothing to verify in {}; make a backup with: rowhouse backup create", store.place());
        return Ok(CommandOutcome { yes: false, json: serde_json::to_value(&found)?, text });
    }
    require_opened(&found)?;
    Ok(CommandOutcome { yes: found.is_good(), json: serde_json::to_value(&found)?, text: text(&found) })
}

/// A key that opens nothing has verified nothing.
fn require_opened(found: &Verification) -> Result<(), CannotRun> {
    let has_opened = !found.backups.is_empty() || found.wal_files > 0 || !found.damage.is_empty();
    match found.closed.first() {
        Some(closed) if !has_opened => {
            Err(StoreError::WrongKey { what: closed.object.clone(), recipients: closed.recipients.clone() }
                .into())
        }
        _ => Ok(()),
    }
}

/// Bytes of the backups, which is nearly all; the log is beside them.
async fn total(store: &Store, only: Option<&BackupId>) -> Result<Option<u64>, CannotRun> {
    let listed = store.list().await?;
    let chosen = listed.iter().filter(|listed| only.is_none_or(|id| *id == listed.id));
    Ok(Some(chosen.filter_map(|listed| Some(listed.manifest()?.bytes())).sum()))
}

fn text(found: &Verification) -> String {
    let mut lines: Vec<String> = found.damage.iter().map(damage).collect();
    for backup in &found.backups {
        let verdict = if backup.good { "good" } else { "DAMAGED" };
        lines.push(format!("{}  {verdict}  {}", backup.id, super::list::size(backup.bytes)));
    }
    lines.extend(
        found.incomplete.iter().map(|id| format!("{id}  incomplete; `rowhouse backup prune` removes it")),
    );
    let closed = |closed: &Closed| {
        format!(
            "{}  not verified: it does not open with this key, and is sealed for {}",
            closed.object, closed.recipients
        )
    };
    lines.extend(found.closed.iter().map(closed));
    let files = counted(found.wal_files, "file of write-ahead log", "files of write-ahead log");
    lines.push(format!("{files}, {} damaged", grouped(found.damage.len() as u64)));
    lines.join("\n")
}

fn damage(damage: &Damage) -> String {
    let chunk = damage.chunk.map(|number| format!(", chunk {number}")).unwrap_or_default();
    format!("damaged: {}{chunk}: {}", damage.object, damage.why)
}
