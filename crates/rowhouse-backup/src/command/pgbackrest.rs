//! `backup …` where pgBackRest makes the backups. Leaves driving it to `pgbackrest`.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::{Value, json};

use super::list::{age, size};
use super::{BackupCommand, activate, disable, restore};
use crate::interrupt::interruptible;
use crate::pgbackrest::{Backup, PgBackRest};

/// What belongs to this program's own store, and what to do instead.
const NOT_HERE: &str = "backup.adapter is pgbackrest, which keeps its own log and retention: name points with `select \
     pg_create_restore_point('NAME')`";

pub(super) async fn run(
    context: &CommandContext,
    adapter: &PgBackRest,
    command: BackupCommand,
) -> Result<CommandOutcome, CannotRun> {
    match command {
        BackupCommand::Create(args) if args.logical => {
            Err(CannotRun::because("backup.adapter is pgbackrest, which makes no dumps; leave out --logical"))
        }
        BackupCommand::Create(args) => {
            let made = interruptible(context, adapter.back_up(&args.label)).await?;
            let text = format!("{}: {}, {} stored", made.id(), size(made.bytes()), size(made.stored_bytes()));
            Ok(CommandOutcome { yes: made.is_good(), json: made.document(), text })
        }
        BackupCommand::List(args) if args.points => Err(CannotRun::because(NOT_HERE)),
        BackupCommand::List(_) => list(context, adapter).await,
        BackupCommand::Verify(_) => {
            let verdict = interruptible(context, adapter.verify()).await?;
            let json = json!({ "stanza": adapter.stanza(), "good": verdict.is_good, "report": verdict.text });
            Ok(CommandOutcome { yes: verdict.is_good, json, text: verdict.text })
        }
        BackupCommand::Prune(args) => prune(adapter, args.dry_run).await,
        BackupCommand::Restore(args) => restore::pgbackrest::run(context, &args, adapter).await,
        BackupCommand::Activate(args) => activate::run(context, &args).await,
        BackupCommand::Disable(args) => disable::run(context, &args, true).await,
        BackupCommand::Point(_) => Err(CannotRun::because(NOT_HERE)),
    }
}

/// The newest first.
async fn list(context: &CommandContext, adapter: &PgBackRest) -> Result<CommandOutcome, CannotRun> {
    let backups = adapter.backups().await?;
    let documents: Vec<Value> = backups.iter().rev().map(Backup::document).collect();
    let store = format!("pgbackrest:{}", adapter.stanza());
    let text = match backups.is_empty() {
        true => format!("no backups in {store}; make one with: rowhouse backup create"),
        false => table(&backups, context),
    };
    Ok(CommandOutcome::yes(json!({ "store": store, "backups": documents }), text))
}

fn table(backups: &[Backup], context: &CommandContext) -> String {
    let (mut table, now) = (Table::new(), context.clock.now());
    table.load_style(NOTHING).set_header(["backup", "status", "kind", "age", "size", "stored", "label"]);
    for backup in backups.iter().rev() {
        table.add_row([
            backup.id(),
            if backup.is_good() { "good" } else { "damaged" },
            backup.kind(),
            &age(now - backup.started_at()),
            &size(backup.bytes()),
            &size(backup.stored_bytes()),
            backup.label(),
        ]);
    }
    table.to_string()
}

/// By what was there before and is not after.
async fn prune(adapter: &PgBackRest, dry_run: bool) -> Result<CommandOutcome, CannotRun> {
    let before = adapter.backups().await?;
    adapter.expire(dry_run).await?;
    let after = adapter.backups().await?;
    let is_gone = |backup: &&Backup| !after.iter().any(|left| left.id() == backup.id());
    let removed: Vec<&str> = before.iter().filter(is_gone).map(Backup::id).collect();
    let text = match (dry_run, removed.is_empty()) {
        (true, _) => "nothing was removed: pgbackrest says what it would remove in its log only".to_owned(),
        (false, true) => "nothing to remove".to_owned(),
        (false, false) => format!("removed: {}", removed.join(", ")),
    };
    Ok(CommandOutcome::yes(json!({ "removed": removed, "dry_run": dry_run }), text))
}
