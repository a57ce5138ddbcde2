//! `backup list`: what the store holds. Leaves reading it to `store`.

use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::store::{Condition, Listed};

pub(super) async fn run(context: &CommandContext) -> Result<CommandOutcome, CannotRun> {
    let store = super::store(context)?;
    let mut found = store.list().await?;
    found.reverse();
    let documents: Vec<Value> = found.iter().map(document).collect();
    let lines: Vec<String> = found.iter().map(line).collect();
    let json = json!({ "store": store.place(), "backups": documents });
    let text = if lines.is_empty() { format!("no backups in {}", store.place()) } else { lines.join("\n") };
    Ok(CommandOutcome::yes(json, text))
}

fn document(listed: &Listed) -> Value {
    let mut document =
        json!({ "id": listed.id, "status": listed.condition.name(), "stored_bytes": listed.stored_bytes });
    if let Condition::Good(manifest) = &listed.condition {
        document["kind"] = manifest.kind.as_str().into();
        document["bytes"] = manifest.bytes().into();
        document["started_at"] = manifest.started_at.format(&Rfc3339).unwrap_or_default().into();
    }
    document
}

fn line(listed: &Listed) -> String {
    format!("{}  {}  {} bytes", listed.id, listed.condition.name(), listed.stored_bytes)
}
