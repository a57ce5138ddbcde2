//! `backup create`: makes a backup now; a physical one turns the receiving of WAL on. Leaves the work to `method`.

use rowhouse_db::DbError;
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::json;

use crate::base::turn_off;
use crate::interrupt::interruptible;
use crate::manifest::Manifest;
use crate::method::{Making, Method, choose};
use crate::settings::{BackupMethod, BackupSettings};
use crate::source::{SlotState, Source, slot_state};

#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// A name for people; `backup list` prints it
    #[arg(long, default_value = "")]
    pub(super) label: String,
    /// A dump of the database by pg_dump, whatever the server allows: it restores to this moment only
    #[arg(long)]
    pub(super) logical: bool,
}

pub(super) async fn run(context: &CommandContext, args: &CreateArgs) -> Result<CommandOutcome, CannotRun> {
    let settings = context.settings()?;
    let backup = settings.get::<BackupSettings>();
    if settings.is_production() && backup.recipients().is_empty() {
        return Err(CannotRun::because(
            "backup.escrow is empty: if this machine is lost, nobody can open its backups. Make a key pair with \
             age-keygen, keep the private one offline, and name the public one there",
        ));
    }
    let (source, store) = (Source::of(context)?, super::store(context).await?);
    let method = match args.logical {
        true => Method::Logical { reason: "asked for with --logical".to_owned() },
        false => choose(&backup, &source).await?,
    };
    let (project, clock) = (&context.project, &context.clock);
    let making = Making { settings: &backup, source: &source, store: &store, project, clock };
    let was_on = is_on(&source).await?;
    let made = interruptible(context, making.create(&method, &args.label)).await;
    if made.is_err() && !was_on && is_on(&source).await.unwrap_or(false) {
        turn_off(&source).await;
    }
    let made = made?;
    let is_scheduled = args.logical || backup.method == BackupMethod::Logical;
    Ok(outcome(&made, &method, &store.place(), is_scheduled))
}

/// Whether write-ahead log is kept for backups.
async fn is_on(source: &Source) -> Result<bool, DbError> {
    Ok(slot_state(&source.connect().await?, &source.slot).await? != SlotState::Missing)
}

fn outcome(made: &Manifest, method: &Method, place: &str, is_scheduled: bool) -> CommandOutcome {
    let stored: u64 = made.objects.iter().map(|object| object.stored_bytes).sum();
    let mut document = json!({
        "id": made.id, "kind": made.kind, "store": place, "bytes": made.bytes(), "stored_bytes": stored,
        "start_lsn": made.start_lsn, "stop_lsn": made.stop_lsn, "timeline": made.timeline,
    });
    let size = super::list::size;
    let mut text = format!("{}: {}, {} in {place}", made.id, size(made.bytes()), size(stored));
    if let Method::Logical { reason } = method {
        document["reason"] = reason.as_str().into();
        text.push_str(&format!("\na dump, which restores to this moment only: {reason}"));
        if !is_scheduled {
            text.push_str("\nfor dumps by the schedule, set backup.method to \"logical\"");
        }
    }
    CommandOutcome::yes(document, text)
}
