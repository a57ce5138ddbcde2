//! `backup create`: makes a backup now, and turns the receiving of WAL on. Leaves the work to `base`.

use std::sync::Arc;

use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::json;

use crate::base;
use crate::receiver::{Receiver, Status, save_interval};
use crate::settings::BackupSettings;
use crate::source::Source;

#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// A name for people; `backup list` prints it
    #[arg(long, default_value = "")]
    label: String,
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
    let receiver = Receiver {
        source: Source::of(context)?,
        store: super::store(context)?,
        status: Arc::new(Status::default()),
        save_interval: save_interval(&backup),
    };
    let made = base::create(&receiver, &context.project, &args.label, &context.clock).await?;
    let stored: u64 = made.objects.iter().map(|object| object.stored_bytes).sum();
    let document = json!({
        "id": made.id, "store": receiver.store.place(), "bytes": made.bytes(), "stored_bytes": stored,
        "start_lsn": made.start_lsn, "stop_lsn": made.stop_lsn, "timeline": made.timeline,
    });
    let text = format!(
        "{}: {} MiB, {} MiB in {}",
        made.id,
        made.bytes() >> 20,
        stored >> 20,
        receiver.store.place()
    );
    Ok(CommandOutcome::yes(document, text))
}
