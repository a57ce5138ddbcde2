//! `backup prune`: removes what the settings do not keep. Leaves the decision to `retention`.

use clap::Args;
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome, counted};
use serde_json::json;

use crate::prune::Pruned;
use crate::settings::BackupSettings;

#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// Only say what would be removed
    #[arg(long)]
    pub(super) dry_run: bool,
}

pub(super) async fn run(context: &CommandContext, args: PruneArgs) -> Result<CommandOutcome, CannotRun> {
    let settings = context.settings()?.get::<BackupSettings>();
    let pruned = super::store(context).await?.prune(&settings, args.dry_run).await?;
    let mut json = serde_json::to_value(&pruned)?;
    json["dry_run"] = json!(args.dry_run);
    Ok(CommandOutcome::yes(json, text(&pruned, args.dry_run)))
}

fn text(pruned: &Pruned, dry_run: bool) -> String {
    let verb = if dry_run { "would be removed" } else { "removed" };
    let mut lines: Vec<String> = Vec::new();
    lines.extend(pruned.removed.iter().map(|id| format!("{id}  {verb}")));
    lines.extend(pruned.incomplete.iter().map(|id| format!("{id}  {verb}: never finished")));
    lines.extend(
        pruned.unreadable.iter().map(|id| format!("{id}  cannot be read; it stays, and with it all log")),
    );
    lines.extend(pruned.points.iter().map(|name| format!("point {name}  {verb}")));
    let backups = counted((pruned.removed.len() + pruned.incomplete.len()) as u64, "backup", "backups");
    let files = counted(pruned.wal_files, "file of write-ahead log", "files of write-ahead log");
    lines.push(format!("{verb}: {backups}, {files}, {}", super::list::size(pruned.bytes)));
    lines.join("\n")
}
